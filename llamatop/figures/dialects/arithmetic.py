"""What the tools compute with: gaps, paces, and three ways to read a percentile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llamatop.events.clock import SECOND
from llamatop.figures.requests import counted, first_token
from llamatop.figures.stats import percentile
from llamatop.session.requests import Level, Request


@dataclass(frozen=True, slots=True)
class Spread:
    """A latency as a tool prints it, in seconds."""

    mean: float
    p50: float
    p90: float
    p99: float


def sent(request: Request) -> int:
    """When the tools' clients would have sent it (ns): when ours did, else when it was taken.

    Else when it was scheduled.
    """
    if request.served is not None:
        return request.served.sent
    return request.scheduled if request.admitted is None else request.admitted


def ended(request: Request) -> int:
    """When its stream ended (ns), which may be after its last token."""
    last = request.times[-1] if request.times else request.scheduled
    return last if request.ended is None else max(request.ended, last)


def completed(level: Level) -> list[Request]:
    """The measured requests that came to their end."""
    return [one for one in level.requests if one.state == "done" and one.times]


def paced(request: Request) -> bool:
    """Whether it has a pace: its first token's time and two tokens at least are known."""
    return request.tokens > 1 and first_token(request) is not None and counted(request)


def firsts(done: Sequence[Request]) -> list[float]:
    """Seconds from the sending to the first token, where that is known."""
    return [(first - sent(one)) / SECOND for one in done if (first := first_token(one)) is not None]


def output(done: Sequence[Request]) -> int | None:
    """Output tokens of all; None where some request's are not known."""
    return sum(one.tokens for one in done) if all(map(counted, done)) else None


def pace(request: Request) -> float:
    """(E2E - TTFT) / (n - 1) in seconds, for two tokens at least."""
    return (request.times[-1] - request.times[0]) / SECOND / (request.tokens - 1)


def whole_pace(request: Request) -> int:
    """As `pace`, in whole nanoseconds."""
    return (request.times[-1] - request.times[0]) // (request.tokens - 1)


def first_chunk(request: Request) -> int:
    """When its first event came (ns), with a token or without; in process they are one."""
    first = None if request.served is None else request.served.reached.get("event")
    return request.times[0] if first is None else min(first, request.times[0])


def chunk_gaps(request: Request) -> Iterator[float]:
    """Seconds between chunks, however many tokens each holds; none where they have no times."""
    times = request.times if not request.summed else ()
    return ((times[i] - times[i - 1]) / SECOND for i in range(1, len(times)))


def span(done: Sequence[Request]) -> float | None:
    """Seconds from the first request sent to the last token, of completed requests."""
    if not done:
        return None
    return (max(one.times[-1] for one in done) - min(sent(one) for one in done)) / SECOND


def linear(values: Sequence[float]) -> Spread | None:
    """Mean and percentiles as NumPy gives them."""
    if not values:
        return None
    ordered = sorted(values)
    mean = math.fsum(ordered) / len(ordered)
    return Spread(mean, *(percentile(ordered, percent) for percent in (50, 90, 99)))


def weighted(values: Sequence[tuple[float, int]]) -> Spread | None:
    """guidellm's distribution: the first value at which the share of weights reaches p.

    The shares are added up in floating point, as guidellm does: one that is reached exactly may be
    missed by a rounding (nine tenths of ten values are), and then the next value stands.
    """
    ordered = sorted(values)
    total = sum(weight for _, weight in ordered)
    if not total:
        return None
    mean = math.fsum(value * weight for value, weight in ordered) / total
    return Spread(mean, *(_reached(ordered, total, percent / 100) for percent in (50, 90, 99)))


def _reached(ordered: Sequence[tuple[float, int]], total: int, share: float) -> float:
    below = 0.0
    for value, weight in ordered:
        below += weight / total
        if below >= share:
            return value
    return ordered[-1][0]


def ranked(nanoseconds: Sequence[int]) -> Spread | None:
    """LoadGen's percentiles: `sorted[int(n p)]`, and its mean in whole nanoseconds."""
    if not nanoseconds:
        return None
    ordered = sorted(nanoseconds)
    count = len(ordered)
    picked = (ordered[count * percent // 100] for percent in (50, 90, 99))
    return Spread(sum(ordered) // count / SECOND, *(value / SECOND for value in picked))
