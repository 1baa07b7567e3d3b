"""What watched servers told over time, in the steps of a chart: tokens, requests, the KV cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from llamatop.events.clock import SECOND
from llamatop.figures.rates import newest, rates_at
from llamatop.figures.serving import gauge
from llamatop.session.reducer import Session
from llamatop.session.watched import Sample, Watched

SMOOTH = 2 * SECOND
"""Rates cover so much (ns) at least: servers are looked at once a second."""


class History(msgspec.Struct, frozen=True):
    """A quantity at the ends of steps, oldest first."""

    name: str
    role: str
    values: tuple[float | None, ...]
    top: float | None = None
    """The upper edge, where that is a fixed one."""


def histories(session: Session, step: int, count: int) -> list[History]:
    """All that are told, most important first."""
    last = session.now // step
    ends = [place * step for place in range(last - count + 1, last + 1)]
    servers = list(session.watched.values())
    return [
        History(
            "their tok/s" if len(servers) > 1 else "its tok/s",
            "work",
            tuple(rates_at(servers, ends, max(step, SMOOTH))),
        ),
        History("waiting", "work", _gauges(servers, "waiting", ends)),
        History("running", "work", _gauges(servers, "running", ends)),
        History("KV cache", "memory", _kv(servers, ends), 1.0),
    ]


def _gauges(servers: Iterable[Watched], name: str, ends: Sequence[int]) -> tuple[float | None, ...]:
    """Of all replicas together."""
    return _columns(servers, ends, lambda sample: gauge(sample, name), _sum)


def _kv(servers: Sequence[Watched], ends: Sequence[int]) -> tuple[float | None, ...]:
    """Of the fullest; of llama.cpp what its slots held."""
    if any(server.slot_samples for server in servers):
        return tuple(_most(_held(server, end) for server in servers) for end in ends)
    return _columns(servers, ends, lambda sample: gauge(sample, "kv_usage"), _most)


def _held(server: Watched, end: int) -> float | None:
    look = newest(server.slot_samples, end, server.every)
    context = max((slot.context or 0 for slot in server.slots.values()), default=0)
    return min(look.held / context, 1.0) if look is not None and context else None


def _columns(
    servers: Iterable[Watched],
    ends: Sequence[int],
    value: Callable[[Sample], float | None],
    joined: Callable[[Iterable[float | None]], float | None],
) -> tuple[float | None, ...]:
    rows = [
        [value(look) if (look := newest(r.samples, end, s.every)) else None for end in ends]
        for s in servers
        for r in s.replicas.values()
        if r.samples
    ]
    return tuple(joined(column) for column in zip(*rows, strict=True)) or (None,) * len(ends)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
