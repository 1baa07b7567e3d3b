"""Which load comes next where the most that keeps the targets is looked for. Pure.

Doubles until fewer requests than wanted keep them, halves where the first level does not, then
closes in from both sides: on the number at once, or with a rate on the arrivals a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llamatop.events.kinds import Outcome
from llamatop.settings.config import MAX_CONCURRENCY, RunConfig

FINEST = 0.05
"""Rates this close (a share) are not told apart."""

SLOWEST = 64.0
"""A rate so many times lower than the first is low enough to give up."""


class Load(NamedTuple):
    """What a level is given: requests in flight (the most, with a rate), arrivals a second."""

    concurrency: int
    rate: float | None = None


class Went(NamedTuple):
    """How a level went; `share` of its requests kept every target, None: none ended."""

    load: Load
    outcome: Outcome
    share: float | None


def next_load(config: RunConfig, tried: Sequence[Went]) -> Load | None:
    """The next level's load; None: it is found, or cannot be."""
    if any(one.outcome in ("stopped", "failed") for one in tried):
        return None
    kept = [one.load for one in tried if _keeps(config, one)]
    broken = [one.load for one in tried if not _keeps(config, one)]
    if config.rate is not None:
        rate = _next_rate(config.rate, [_rate(x) for x in kept], [_rate(x) for x in broken])
        return None if rate is None else Load(config.concurrency[0], rate)
    most = max((load.concurrency for load in kept), default=0)
    least = min((load.concurrency for load in broken), default=None)
    if least is not None:
        return Load((most + least) // 2) if least - most > 1 else None
    if len(tried) < len(config.concurrency):
        return Load(sorted(config.concurrency)[len(tried)])
    return Load(most * 2) if most * 2 <= MAX_CONCURRENCY else None


def _keeps(config: RunConfig, went: Went) -> bool:
    return went.outcome == "ok" and went.share is not None and went.share >= config.share


def _rate(load: Load) -> float:
    return load.rate or 0.0


def _next_rate(first: float, kept: Sequence[float], broken: Sequence[float]) -> float | None:
    if not kept and not broken:
        return first
    if not broken:
        return max(kept) * 2
    if not kept:
        lower = min(broken) / 2
        return lower if lower * SLOWEST >= first else None
    low, high = max(kept), min(broken)
    return (low + high) / 2 if high - low > FINEST * low else None
