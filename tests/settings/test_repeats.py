from hypothesis import given
from hypothesis import strategies as st

from llamatop.settings.config import RunConfig
from llamatop.settings.repeats import repeats


@given(st.lists(st.integers(1, 64), min_size=1, max_size=5), st.integers(0, 9))
def test_every_run_has_every_level_and_no_level_is_always_first(
    levels: list[int], seed: int
) -> None:
    config = RunConfig(concurrency=tuple(levels), seed=seed)
    made = repeats(config, max(len(levels), 2), "night")
    assert all(sorted(one.concurrency) == sorted(levels) for one in made)
    firsts = [one.concurrency[0] for one in made]
    assert sorted(firsts[: len(levels)]) == sorted(levels)
    assert [(one.repeat, one.repeats, one.bound) for one in made] == [
        (place, len(made), "night") for place in range(1, len(made) + 1)
    ]
    assert made == repeats(config, len(made), "night")


def test_one_run_is_the_plan_as_it_is_and_a_search_keeps_its_beginning() -> None:
    config = RunConfig(concurrency=(1, 2, 4))
    assert repeats(config, 1, "night") == [config]
    search = RunConfig(concurrency=(1, 2, 4), until_oom=True)
    assert {one.concurrency for one in repeats(search, 5, "night")} == {(1, 2, 4)}
