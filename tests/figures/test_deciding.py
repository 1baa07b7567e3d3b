"""Intervals and verdicts, held against simulations with fixed seeds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.figures.deciding import (
    NONE,
    Error,
    added,
    decide,
    of_groups,
    reach,
    runs_needed,
    times_as_many,
)
from llamatop.figures.sequential import FIRST_LOOK, of_pairs, tail_of_a_look

LOGS = st.floats(-1, 1, allow_nan=False)


@pytest.mark.parametrize(("ours", "theirs"), [(5, 5), (3, 3), (1, 5), (4, 7)])
def test_intervals_of_groups_cover_what_they_say(ours: int, theirs: int) -> None:
    random = np.random.default_rng(ours * 10 + theirs)
    missed = 0
    for _ in range(600):
        a, b = random.normal(0, 0.05, ours), random.normal(0, 0.05, theirs)
        off = abs(float(b.mean() - a.mean()))
        missed += off > reach(of_groups(a.tolist(), b.tolist()), 0.05)
    assert 0.02 <= missed / 600 <= 0.08


def test_looks_together_rarely_say_what_is_not_so() -> None:
    """A thousand settings against themselves, six rounds each, moods that last: false stops."""
    random = np.random.default_rng(0)
    rounds, wrong = 6, 0
    for _ in range(1000):
        moods = [0.0]
        for _ in range(4 * rounds):
            moods.append(0.7 * moods[-1] + float(random.normal(0, 0.03)))
        turns = np.array(moods[1:]) + random.normal(0, 0.02, 4 * rounds)
        pairs = []
        for one in range(rounds):
            a1, b1, b2, a2 = turns[4 * one : 4 * one + 4]
            pairs += [b1 - a1, b2 - a2]
            if one + 1 >= FIRST_LOOK:
                error, log = of_pairs(pairs), float(np.mean(pairs))
                if decide(log, error, tail_of_a_look(rounds), 0.02).way in ("up", "down"):
                    wrong += 1
                    break
    assert wrong <= 30


@given(LOGS, st.floats(0, 0.1), st.integers(1, 60))
def test_a_verdict_is_what_the_interval_says(log: float, variance: float, freedom: int) -> None:
    found = decide(log, Error(variance, freedom), 0.05, 0.05)
    if found.low is None or found.high is None:
        assert found.way == "undecided"
        return
    assert found.low <= math.expm1(log) + 1e-12 and math.expm1(log) - 1e-12 <= found.high
    assert (found.way == "up") == (found.low > 0)
    assert (found.way == "down") == (found.high < 0)
    if found.way == "same":
        assert found.low >= -0.05 and found.high <= 0.05


def test_an_interval_that_tells_nothing_is_none() -> None:
    assert decide(0.5, Error(1.0, 1), 0.001).low is None


@given(st.floats(1e-6, 0.1), st.integers(1, 30), st.floats(1e-6, 0.1))
def test_errors_that_are_added_are_known_no_better_than_the_best(
    variance: float, freedom: int, other: float
) -> None:
    total = added([Error(variance, freedom), Error(other, 2 * freedom)])
    assert total.variance == pytest.approx(variance + other)
    assert freedom <= total.freedom * (1 + 1e-9) and total.freedom <= 3 * freedom * (1 + 1e-9)
    assert added([Error(variance, freedom), NONE]).freedom == pytest.approx(freedom)


def test_what_would_decide() -> None:
    times = times_as_many(Error(0.01, 6), Error(0.0001, 19), 0.05, 0.1)
    assert times is not None and times > 1
    assert times_as_many(Error(0.01, 6), Error(0.01, 19), 0.05, 0.1) is None, "runs vary more"
    runs = runs_needed(0.02, 0.05, 0.05)
    assert runs is not None
    assert reach(Error(2 * 0.02**2 / runs, 2 * runs - 2), 0.05) <= 0.05
    assert runs_needed(1.0, 0.05, 0.01) is None
