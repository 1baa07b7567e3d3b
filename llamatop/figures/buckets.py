"""Percentiles from the buckets of a histogram, as PromQL's `histogram_quantile` has them.

But for its ends: an observation of the first bucket lies somewhere below its bound, one of the
last above all bounds, and no number is made up for either. Knows no metric by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Quantile:
    """A percentile, or the bound beyond which it lies; in the histogram's unit."""

    value: float | None
    below: float | None = None
    """Smallest bound, where it lies below that."""
    above: float | None = None
    """Largest finite bound, where it lies above that."""


def quantile(buckets: Mapping[str, float], share: float) -> Quantile | None:
    """The quantile at `share` (0 to 1) of observations by upper bound, each bucket alone.

    None where nothing was observed. Within a bucket it interpolates linearly from the bound
    below, as PromQL does.
    """
    ordered = sorted((float(bound), count) for bound, count in buckets.items())
    rank = share * sum(count for _, count in ordered)
    if rank <= 0:
        return None
    before, low = 0.0, None
    for bound, count in ordered:
        if before + count >= rank and count > 0:
            return _within(low, bound, (rank - before) / count)
        before, low = before + count, bound
    return None


def _within(low: float | None, high: float, share: float) -> Quantile:
    if low is None:
        return Quantile(None, below=high) if high < inf else Quantile(None)
    if high == inf:
        return Quantile(None, above=low)
    return Quantile(low + (high - low) * share)


def difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What was observed between two moments, bucket by bucket."""
    return {bound: max(count - before.get(bound, 0.0), 0.0) for bound, count in after.items()}


def summed(histograms: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The buckets of several replicas together: what a percentile over all is taken of."""
    total: dict[str, float] = {}
    for buckets in histograms:
        for bound, count in buckets.items():
            total[bound] = total.get(bound, 0.0) + count
    return total
