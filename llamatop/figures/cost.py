"""What tokens cost at the load of the moment, in whatever currency the price is."""

from __future__ import annotations


def per_million(cost_per_hour: float | None, rate: float | None) -> float | None:
    """Of a million generated tokens, at so many a second; None where none are generated."""
    if cost_per_hour is None or not rate:
        return None
    return cost_per_hour / (rate * 3600) * 1_000_000
