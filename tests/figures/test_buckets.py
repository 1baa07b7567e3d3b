"""Percentiles of buckets: PromQL's within, and no number made up at their ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.figures.buckets import Quantile, difference, quantile, summed

BUCKETS = {"0.1": 2.0, "0.2": 4.0, "0.4": 2.0, "+Inf": 2.0}


@pytest.mark.parametrize(
    ("share", "found"),
    [
        (0.1, Quantile(None, below=0.1)),
        (0.5, Quantile(pytest.approx(0.1 + 0.1 * 3 / 4))),
        (0.8, Quantile(pytest.approx(0.4))),
        (0.99, Quantile(None, above=0.4)),
    ],
)
def test_a_quantile(share: float, found: Quantile) -> None:
    assert quantile(BUCKETS, share) == found


def test_where_nothing_was_observed_there_is_none() -> None:
    assert quantile({"0.1": 0.0, "+Inf": 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None


def test_bounds_are_ordered_by_value() -> None:
    assert quantile({"10.0": 4.0, "9.0": 0.0, "+Inf": 0.0}, 0.5) == Quantile(9.5)


@given(st.lists(st.floats(0.2, 0.99), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_it_lies_in_the_bucket_of_the_observation(observed: list[float], share: float) -> None:
    bounds = [0.1, 0.25, 0.5, 1.0]
    buckets = dict.fromkeys(map(str, bounds), 0.0)
    for value in observed:
        buckets[str(next(bound for bound in bounds if value <= bound))] += 1
    ranked = sorted(observed)
    exact = next(v for n, v in enumerate(ranked, 1) if n >= share * len(ranked))
    found = quantile(buckets, share)
    assert found is not None and found.value is not None
    bound = next(bound for bound in bounds if exact <= bound)
    assert bounds[bounds.index(bound) - 1] <= found.value <= bound + 1e-9


def test_differences_and_sums() -> None:
    after, before = {"0.1": 3.0, "+Inf": 1.0}, {"0.1": 1.0}
    assert difference(after, before) == {"0.1": 2.0, "+Inf": 1.0}
    assert summed([after, before]) == {"0.1": 4.0, "+Inf": 1.0}
