"""The search for the longest context, and how what is raised is told: pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.predict.excerpt import plans
from llamatop.predict.furthest import PAGE, furthest, search
from llamatop.predict.telling import told
from llamatop.predict.traced import LayerKind, Peak, Reach, Shape, Trace


@given(
    st.integers(0, 10**6),
    st.integers(1, 10**5),
    st.floats(1, 2.5),
    st.integers(0, 10**12),
    st.integers(2, 2**24),
)
def test_what_is_found_fits_and_a_page_more_does_not(
    base: int, each: int, power: float, limit: int, most: int
) -> None:
    asked = []

    def needed(tokens: int) -> float:
        asked.append(tokens)
        return base + each * tokens**power

    found = search(needed, limit, most)
    assert found == 0 or needed(found) <= limit
    assert found == most or needed(max(found, 2) + (PAGE if found else 0)) > limit
    assert len(asked) <= 2 * 24 + 6


class Seen:
    """Notes what it is asked to trace."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []

    def peak(self, shape: Shape) -> Peak:
        self.shapes.append(shape)
        return Peak(shape, total=10 * shape.prompt, cache=10 * shape.prompt, logits=0, heap=0)


def test_no_more_is_traced_than_the_answer_takes() -> None:
    """Weights that do not fit: nothing; all of the context fits: that alone."""
    model = Trace("bfloat16", 500, 500, 1000, 1000, 0, 0, 0, 8, 4096, (LayerKind(1, 10, None),), ())
    seen = Seen()
    assert furthest(model, seen, Reach("batch", 999, 0.05), "cuda").furthest == 0
    assert seen.shapes == []
    assert furthest(model, seen, Reach("batch", 10**12, 0.05), "cuda").furthest == 4096
    assert [shape.prompt for shape in seen.shapes] == [4095]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_every_plan_shows_every_kind_and_the_first_layer(kinds: list[int]) -> None:
    found = list(plans(kinds))
    assert found[-1] == list(range(len(kinds)))
    for plan in found:
        assert plan[0] == 0 and plan == sorted(set(plan))
        assert {kinds[i] for i in plan} == set(kinds)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StopIteration(), "its code in transformers raises StopIteration and says no more"),
        (KeyError("x"), "its code in transformers raises KeyError ('x') and says no more"),
        (ValueError("It is bad. See here. " + "More words " * 40), "It is bad. See here"),
    ],
)
def test_a_reason_ends_as_a_sentence_does(error: Exception, line: str) -> None:
    assert told(error) == line


def test_a_reason_that_is_too_long_ends_at_a_word() -> None:
    line = told(ValueError("one, " * 80))
    assert line.endswith("one …") and len(line) <= 202
