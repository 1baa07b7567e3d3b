"""Rates of watched servers over time, for charts. Knows no screen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from llamatop.events.clock import SECOND
from llamatop.figures.serving import counter, so_far
from llamatop.session.thinning import Timed
from llamatop.session.watched import Replica, Sample, SlotSample, Watched

T = TypeVar("T", bound=Timed)

GAP = 3
"""A sample that is older than so many looks says nothing of a moment."""


def generation_rates(servers: Iterable[Watched], edges: Sequence[int]) -> list[float | None]:
    """Tokens per second of all replicas together between neighbours of `edges` (ns, ascending)."""
    spans = list(pairwise(edges))
    return _together(servers, spans)


def rates_at(servers: Iterable[Watched], ends: Sequence[int], window: int) -> list[float | None]:
    """Tokens per second of all replicas together over a window (ns) up to each of `ends`."""
    return _together(servers, [(end - window, end) for end in ends])


def _together(servers: Iterable[Watched], spans: Sequence[tuple[int, int]]) -> list[float | None]:
    rates = [
        [_over(server, replica, *span) for span in spans]
        for server in servers
        for replica in server.replicas.values()
        if replica.samples
    ]
    return [_sum(column) for column in zip(*rates, strict=True)] or [None] * len(spans)


def _over(server: Watched, replica: Replica, start: int, end: int) -> float | None:
    """Tokens per second from `start` to `end`, or to the newest look where that lies before."""
    looks: Sequence[Timed] = server.slot_samples or replica.samples
    end = min(end, looks[-1].time)
    before, after = generated(server, replica, start), generated(server, replica, end)
    if before is None or after is None or end <= start:
        return None
    return max(after - before, 0.0) * SECOND / (end - start)


def generated(server: Watched, replica: Replica, time: int) -> float | None:
    """Tokens generated up to a moment, between two looks in proportion to the time; None where
    nothing was told shortly before."""
    looks: Sequence[Timed] = server.slot_samples or replica.samples
    look = newest(looks, time, server.every)
    if look is None:
        return None
    tokens = _tokens(replica, look)
    place = bisect_right(looks, time, key=lambda one: one.time)
    if place == len(looks) or tokens is None:
        return tokens
    after = looks[place]
    more = (_tokens(replica, after) or tokens) - tokens
    return tokens + max(more, 0.0) * (time - look.time) / (after.time - look.time)


def _tokens(replica: Replica, look: Timed) -> float | None:
    """Tokens generated up to a look."""
    if isinstance(look, SlotSample):
        return so_far(replica, look)[0]
    return counter(look, "generation_tokens") if isinstance(look, Sample) else None


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
