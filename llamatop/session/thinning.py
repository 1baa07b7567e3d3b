"""Samples over a long run, coarser the older they are. Pure; knows no session.

Those that stay are samples as they came, and of the stretches between given times the one with
the most of a quantity always stays. A chart of up to half of `RESOLUTION` cells shows no hole,
whatever stretch of time up to now it covers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from llamatop.events.clock import SECOND

RESOLUTION = 1024
"""Two neighbours are worth telling apart when they lie further apart than their age over this."""

EVERY = 256 * SECOND
"""How often (ns) it is worth looking for what has become old."""


class Timed(Protocol):
    """What has a time (ns)."""

    @property
    def time(self) -> int:
        """When it was so."""
        ...


E = TypeVar("E", bound=Timed)


def thinned(
    samples: Sequence[E],
    amount: Callable[[E], int | None],
    edges: Sequence[int],
    resolution: int = RESOLUTION,
) -> list[E]:
    """The samples that stay, oldest first; two neighbours at least their age over `resolution`.

    `samples` are in order of time; `edges` are times (ns, ascending) over which none is merged,
    and `amount` is the quantity whose largest value stays, None below all others.
    """
    kept: list[E] = []
    if not samples:
        return kept
    now, since, stretch = samples[-1].time, samples[0].time, -1
    for sample in samples:
        place = bisect_right(edges, sample.time)
        apart = (sample.time - since) * resolution >= now - sample.time
        if apart or place != stretch:
            kept.append(sample)
            since, stretch = sample.time, place
        elif (amount(sample) or 0) > (amount(kept[-1]) or 0):
            kept[-1] = sample
    return kept


def due(before: int, time: int) -> bool:
    """Whether a look at the samples is due between two of them (ns)."""
    return before // EVERY != time // EVERY
