"""Lengths are read, drawn within their bounds, and the same for the same seed."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.settings.lengths import MOST_TOKENS, Lengths, parse_lengths

bounds = st.tuples(st.integers(1, 5000), st.integers(1, 5000)).map(sorted)
spreads = st.one_of(
    bounds.map(lambda pair: Lengths("uniform", *pair)),
    st.builds(
        Lengths,
        st.sampled_from(["normal", "lognormal"]),
        st.floats(1, 5000),
        st.floats(0.01, 5000),
    ),
)


@given(spreads, st.integers(0, 2**32), st.integers(0, 10_000))
def test_draws_stay_within_the_bounds(lengths: Lengths, seed: int, place: int) -> None:
    drawn = lengths.draw(seed, "prompt", place)
    shortest, longest = lengths._bounds()
    assert 1 <= shortest <= drawn <= longest == lengths.longest


@given(spreads, st.integers(0, 2**32))
def test_the_same_seed_draws_the_same(lengths: Lengths, seed: int) -> None:
    draws = [lengths.draw(seed, "prompt", place) for place in range(20)]
    assert [lengths.draw(seed, "prompt", place) for place in reversed(range(20))] == draws[::-1]


@given(spreads)
def test_what_is_written_is_read_back(lengths: Lengths) -> None:
    longest, again = parse_lengths("--gen-toks", str(lengths))
    if again is None:
        assert (longest, longest) == (lengths.first, lengths.second)
    else:
        assert longest == again.longest
        assert (again.first, again.second) == pytest.approx((lengths.first, lengths.second))


def test_seeds_places_and_names_draw_apart() -> None:
    lengths = Lengths("uniform", 1, 10_000)
    first = [lengths.draw(0, "prompt", place) for place in range(50)]
    assert len(set(first)) > 40
    assert first != [lengths.draw(1, "prompt", place) for place in range(50)]
    assert first != [lengths.draw(0, "output", place) for place in range(50)]


@pytest.mark.parametrize("shape", ["normal", "lognormal"])
def test_mean_and_deviation_are_those_asked_for(shape: str) -> None:
    lengths = Lengths(shape, 256, 64)  # type: ignore[arg-type]
    draws = [lengths.draw(0, "prompt", place) for place in range(4000)]
    assert statistics.mean(draws) == pytest.approx(256, rel=0.02)
    assert statistics.stdev(draws) == pytest.approx(64, rel=0.05)
    assert lengths.longest < 600


def test_a_range_has_both_its_ends() -> None:
    lengths = Lengths("uniform", 2, 4)
    assert {lengths.draw(0, "prompt", place) for place in range(100)} == {2, 3, 4}


def test_spellings() -> None:
    assert parse_lengths("--prompt-toks", "128") == (128, None)
    assert parse_lengths("--prompt-toks", "64:512") == (512, Lengths("uniform", 64, 512))
    assert parse_lengths("--prompt-toks", "normal:256,64") == (448, Lengths("normal", 256, 64))
    assert str(Lengths("normal", 256, 64)) == "normal:256,64"
    assert str(Lengths("uniform", 32, 32)) == "32"


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "", "x", "1.5", "5:", ":5", "5:4", "0:4", "1:2:3", "normal:", "normal:5",
     "normal:0,5", "normal:5,0", "normal:nan,5", "normal:5,inf", "lognormal:5,-1", "gamma:1,2",
     f"1:{MOST_TOKENS + 1}", f"{MOST_TOKENS + 1}"],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_lengths("--gen-toks", text)
    assert "\n" not in str(refusal.value)
    assert "--gen-toks" in str(refusal.value)
