"""Rates and samples over windows of a run's time: now, at the ends of steps, at their best.

Pure functions of a session. Each looks at whole bins of tokens or at samples, never at requests,
but for a level's own; what is bounded here is bounded so that a frame costs the same after hours
as after seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import attrgetter, sub
from typing import TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event
from llamatop.figures.requests import kept
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Level

STEPS = tuple(round(s * SECOND) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600))
"""Widths of a chart's samples (ns)."""

LIVE_STEP = SECOND // 2

PACE = 60 * SECOND
"""The last minute (ns): whose pace says how wide a window is."""

_HELD = 3 * SECOND
"""A sample of memory counts until the next, but no longer than this."""

E = TypeVar("E", bound=Event)


def tokens_between(session: Session, start: int, end: int) -> int:
    """Output tokens in the whole bins from `start` to `end` (ns)."""
    return sum(session.token_bins[max(start, 0) // BIN : max(end, 0) // BIN])


def pace_window(session: Session) -> int:
    """Nanoseconds in which about eight tokens arrive at the last minute's pace: 1 to 10 s."""
    span = min(session.now, PACE)
    tokens = tokens_between(session, session.now - span, session.now)
    if not tokens:
        return SECOND
    wished = 8 * span / tokens
    return min(max(math.ceil(wished / SECOND), 1), 10) * SECOND


def rate_now(session: Session) -> float | None:
    """Output tokens per second over the newest window that the pace asks for; None at the start."""
    end = session.now // BIN * BIN
    start = max(end - pace_window(session), _first_bin(session))
    return tokens_between(session, start, end) * SECOND / (end - start) if end > start else None


def _first_bin(session: Session) -> int:
    """From when on tokens are known (ns): the recording may have begun in mid-run."""
    return -(-session.joined // BIN) * BIN


def rate_samples(
    session: Session, step: int, count: int, window: int | None = None
) -> list[float | None]:
    """Output tokens per second at the ends of the newest `count` whole steps, oldest first.

    Each is the mean over `window` (at least a step); None before the run or its recording
    began.
    """
    width = max(window or step, step)
    last = session.now // step
    first = _first_bin(session)
    samples: list[float | None] = []
    for place in range(last - count + 1, last + 1):
        end = place * step
        if end <= first:
            samples.append(None)
            continue
        start = max(end - width, first)
        samples.append(tokens_between(session, start, end) * SECOND / (end - start))
    return samples


def peak_rate(session: Session, since: int = 0) -> float | None:
    """The most output tokens in any second of whole bins, from bin `since` on."""
    first, end = max(since, _first_bin(session) // BIN), session.now // BIN
    bins = session.token_bins[first:end]
    bins.extend([0] * (end - first - len(bins)))
    totals = list(accumulate(bins, initial=0))
    seconds = map(sub, totals[SECOND // BIN :], totals)
    return max(map(float, seconds), default=None)


def level_rate(session: Session, level: Level | None) -> float | None:
    """Output tokens per second of a level, from its first measured request until now or its end.

    None within its first second: it would be far above the peak, which is that of a whole one.
    """
    if level is None or not level.requests:
        return None
    start = level.started if level.forgotten else level.requests[0].scheduled
    start = start if level.joined is None else level.joined
    end = session.now if level.ended is None else level.ended
    if end - start < (SECOND if level.ended is None else BIN):
        return None
    return tokens_between(session, start, end) * SECOND / (end - start)


def level_goodput(level: Level | None, slo: dict[str, float], now: int) -> float | None:
    """Requests per second that kept every target, of those remembered of a level that runs.

    None without targets, and before one has completed that could be judged.
    """
    done = [r for r in level.requests if r.state == "done"] if level is not None and slo else []
    if level is None or not done:
        return None
    start = level.requests[0].scheduled if level.joined is None else level.joined
    met, judged = kept(done, slo)
    return met * SECOND / max(now - start, BIN) if judged else None


def sampled(
    samples: Sequence[E], value: Callable[[E], float | None], now: int, step: int, count: int
) -> list[float | None]:
    """A sampled quantity at the ends of the newest `count` whole steps, oldest first."""
    last = now // step
    times = _newer(samples, (last - count) * step - _HELD)
    held = max(_HELD, step)
    result: list[float | None] = []
    for place in range(last - count + 1, last + 1):
        at = bisect_left(times, place * step + 1, key=_time) - 1
        fresh = at >= 0 and place * step - times[at].time <= held
        result.append(value(times[at]) if fresh else None)
    return result


_time = attrgetter("time")


def _newer(samples: Sequence[E], since: int) -> Sequence[E]:
    return samples[max(bisect_left(samples, since, key=_time) - 1, 0) :]
