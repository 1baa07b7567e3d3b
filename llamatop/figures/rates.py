"""Rates of watched servers over time, for charts. Knows no screen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeVar

from llamatop.events.clock import SECOND
from llamatop.figures.serving import counter, so_far
from llamatop.session.thinning import Timed
from llamatop.session.watched import Replica, Watched

T = TypeVar("T", bound=Timed)

GAP = 3
"""A sample that is older than so many looks says nothing of a moment."""


def generation_rates(servers: Iterable[Watched], edges: Sequence[int]) -> list[float | None]:
    """Tokens per second of all replicas together between neighbours of `edges` (ns, ascending)."""
    rates = [
        _rates([generated(server, replica, edge) for edge in edges], edges)
        for server in servers
        for replica in server.replicas.values()
        if replica.samples
    ]
    return [_sum(column) for column in zip(*rates, strict=True)] or [None] * (len(edges) - 1)


def rates_at(servers: Iterable[Watched], ends: Sequence[int], window: int) -> list[float | None]:
    """Tokens per second of all replicas together over a window (ns) up to each of `ends`."""
    rates = [
        [_over(server, replica, end, window) for end in ends]
        for server in servers
        for replica in server.replicas.values()
        if replica.samples
    ]
    return [_sum(column) for column in zip(*rates, strict=True)] or [None] * len(ends)


def _over(server: Watched, replica: Replica, end: int, window: int) -> float | None:
    before = generated(server, replica, end - window)
    after = generated(server, replica, end)
    if before is None or after is None:
        return None
    return max(after - before, 0.0) * SECOND / window


def _rates(totals: Sequence[float | None], edges: Sequence[int]) -> list[float | None]:
    return [
        None
        if after is None or before is None
        else max(after - before, 0.0) / ((end - start) / SECOND)
        for before, after, start, end in zip(totals, totals[1:], edges, edges[1:], strict=False)
    ]


def generated(server: Watched, replica: Replica, time: int) -> float | None:
    """Tokens generated up to a moment; None where nothing was told shortly before."""
    if server.slot_samples:
        look = newest(server.slot_samples, time, server.every)
        return so_far(replica, look)[0] if look is not None else None
    sample = newest(replica.samples, time, server.every)
    return counter(sample, "generation_tokens") if sample is not None else None


def newest(samples: Sequence[T], time: int, every: int) -> T | None:
    """The newest at a moment; None where that lies too far back to speak of it.

    Old samples lie further apart: then as far as their neighbours do.
    """
    place = bisect_right(samples, time, key=lambda sample: sample.time)
    if not place:
        return None
    apart = samples[place].time - samples[place - 1].time if place < len(samples) else 0
    near = time - samples[place - 1].time <= max(GAP * every * SECOND, 0)
    thinned = place < len(samples) and apart * 256 <= samples[-1].time - samples[place].time
    return samples[place - 1] if near or thinned else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
