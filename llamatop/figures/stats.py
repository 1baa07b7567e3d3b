"""Plain statistics over lists of floats. Knows nothing of requests."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

MANY = 50_000
"""From so many values on NumPy sorts them, in the memory of their bare numbers."""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile of an ascending sequence, by linear interpolation (NumPy's default).

    Raises ValueError when there is nothing to rank.
    """
    if not ordered:
        raise ValueError("no values")
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Distribution(msgspec.Struct, frozen=True):
    """Count, mean and percentiles of some values, in their own unit."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    low: float
    high: float


def distribution(values: Iterable[float]) -> Distribution | None:
    """How the values are spread; None when there are none. Many in an array are sorted there."""
    ordered = _ascending(values if isinstance(values, array) else array("d", values))
    if not ordered:
        return None
    return Distribution(
        count=len(ordered),
        mean=math.fsum(ordered) / len(ordered),
        p50=percentile(ordered, 50),
        p90=percentile(ordered, 90),
        p99=percentile(ordered, 99),
        low=ordered[0],
        high=ordered[-1],
    )


def spread_json(values: Any) -> dict[str, float | None]:
    """Mean and percentiles of a `Distribution`, or of a spread that another tool defines."""
    return {name: getattr(values, name, None) for name in ("mean", "p50", "p90", "p99")}


def _ascending(values: array[float]) -> Sequence[float]:
    """The values in order; many are sorted where they lie."""
    if len(values) < MANY:
        return sorted(values)
    import numpy as np  # noqa: PLC0415  (only where there are many)

    np.frombuffer(values).sort()
    return values
