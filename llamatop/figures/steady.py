"""When the throughput of a level became steady, and how well its mean is known then.

Sees a level as windows: the time that as many requests as the concurrency took to complete, one
after another, and the tokens they brought. Pure; fed by the engine while a level runs and by
`levels` when its figures are asked for, so that both see the same.

Where the ramp ends is MSER's rule (White 1997): leave out the first windows whose loss makes the
mean of the rest best known. Whether the rest is steady is a test of its slope. The interval is by
batch means: windows are joined until they hardly depend on one another, and widened for what
dependence is left; then Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from llamatop.events.clock import SECOND
from llamatop.figures.student import t_quantile

MOST_WINDOWS = 128
"""When there are so many, each two are joined, and those to come are twice as long."""

LEAST_WINDOWS = 10
"""Fewer say nothing about a slope or an interval."""

LEAST_TO_STOP = 40
"""Windows before a level may end because its interval is narrow: who stops at the first lucky
moment is wrong more often than 5 % of the time, and the earlier the more."""

LOOKS_APART = 1.25
"""A level looks whether it may end when it is so much longer than at its last look: fewer looks
are fewer lucky moments."""

LEAST_BATCHES = 12
"""Windows are not joined to fewer than this."""

MOST_DRIFT = 0.10
"""A change from the first to the last window that is more than this is no steady state, however
uncertain it is; a share of the mean."""

LEAST_DRIFT = 0.01
"""A change of less is steady, however certain."""

TOLERANCE = 1.1
"""The ramp ends where leaving out more would not lower MSER's score by more than this factor."""

_TAIL = 0.05
_MOST_CORRELATION = 0.9

_MORE_ALIKE = 1.5
"""Standard errors by which neighbours may be more alike than they look."""

_ALIKE_AT_STOP = 0.25
"""Standard errors by which neighbours may look alike where a level is to end."""


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a level."""

    nanoseconds: int
    tokens: int

    @property
    def rate(self) -> float:
        """Output tokens per second."""
        return self.tokens * SECOND / max(self.nanoseconds, 1)


def whole(windows: Sequence[Window]) -> Window:
    """Windows that follow one another, as one."""
    return Window(sum(w.nanoseconds for w in windows), sum(w.tokens for w in windows))


@dataclass(frozen=True, slots=True)
class Steady:
    """The steady part of a level."""

    start: float
    """Seconds into the level at which it begins."""
    rate: float
    """Output tokens per second."""
    half_width: float
    """Of the rate's 95 % confidence interval, in tokens per second."""
    windows: int

    @property
    def relative(self) -> float:
        """The half width as a share of the rate."""
        return self.half_width / self.rate


class Windows:
    """Gathers a level's completions."""

    def __init__(self, concurrency: int) -> None:
        self.closed: list[Window] = []
        self._size = max(concurrency, 1)
        """Completions that make a window."""
        self._completed = 0
        self._tokens = 0
        self._every = 0
        """Completions of all windows."""
        self._next_look = 0.0
        self._since: int | None = None

    def begin(self, time: int) -> None:
        """The first request should start now (ns); told again, it means nothing."""
        if self._since is None:
            self._since = time

    def complete(self, time: int, tokens: int) -> bool:
        """A request is complete; True if that closed a window."""
        self.begin(time)
        self._completed += 1
        self._tokens += tokens
        if self._completed < self._size:
            return False
        self.closed.append(Window(time - (self._since or 0), self._tokens))
        self._every += self._completed
        self._since, self._completed, self._tokens = time, 0, 0
        if len(self.closed) == MOST_WINDOWS:
            self.closed = _joined(self.closed)
            self._size *= 2
        return True

    def known_to(self, share: float) -> bool:
        """Whether the steady rate is known to this share of it, and has been long enough.

        To be asked when a window has closed; most of the time it does not look, and says no.
        """
        if len(self.closed) < LEAST_TO_STOP or self._every < self._next_look:
            return False
        self._next_look = self._every * LOOKS_APART
        steady = self.steady(waited=True)
        if steady is None or steady.windows < LEAST_TO_STOP or steady.relative > share:
            return False
        batches = _batched(self.closed[-steady.windows :])
        return _correlation(batches) <= _ALIKE_AT_STOP / math.sqrt(len(batches))

    def steady(self, waited: bool = False) -> Steady | None:
        """The steady part so far; None where there is none, or too little to tell.

        `waited`: the level ends when its interval is narrow, and not where it was bound to end.
        """
        return steady_state(self.closed, waited)


def steady_state(windows: Sequence[Window], waited: bool = False) -> Steady | None:
    """The last windows that are steady; None where there are too few, or they still drift."""
    first = steady_start([window.rate for window in windows])
    if first is None:
        return None
    start = whole(windows[:first]).nanoseconds / SECOND
    rest = windows[first:]
    rate = whole(rest).rate
    width = half_width(rest, waited)
    return Steady(start, rate, width, len(rest)) if rate > 0 else None


def steady_start(rates: Sequence[float]) -> int | None:
    """The first of the values from which on they have no slope; None if at least half drift."""
    latest = min(len(rates) // 2, len(rates) - LEAST_WINDOWS)
    if latest < 0:
        return None
    for first in range(_ramp(rates, latest), latest + 1):
        if is_flat(rates[first:]):
            return first
    return None


def is_flat(values: Sequence[float]) -> bool:
    """Whether values in order have no slope: none that is large, and none that is certain.

    At least 3 values; those of many are averaged, a dozen or two remain.
    """
    means = list(values)
    while len(means) >= 2 * LEAST_BATCHES:
        means = [(a + b) / 2 for a, b in _pairs(means)]
    count = len(means)
    middle, mean = (count - 1) / 2, math.fsum(means) / count
    leverage = math.fsum((i - middle) ** 2 for i in range(count))
    slope = math.fsum((i - middle) * (value - mean) for i, value in enumerate(means)) / leverage
    rest = [value - mean - slope * (i - middle) for i, value in enumerate(means)]
    error = math.sqrt(math.fsum(d * d for d in rest) / (count - 2) / leverage)
    error *= _widening(_correlation(rest))
    drift = abs(slope) * (count - 1)
    if drift <= LEAST_DRIFT * abs(mean):
        return True
    certain = abs(slope) > t_quantile(_TAIL, count - 2) * error
    return drift <= MOST_DRIFT * abs(mean) and not certain


def half_width(windows: Sequence[Window], waited: bool = False) -> float:
    """Of the 95 % confidence interval of tokens per second, over at least 2 windows.

    Where it was `waited` until it is narrow, the moment was one in which neighbours look less
    alike than they are: they are taken to be as much alike as may be.
    """
    deviations = _batched(windows)
    count = len(deviations)
    variance = math.fsum(d * d for d in deviations) / (count - 1)
    alike = _correlation(deviations) + (_MORE_ALIKE / math.sqrt(count) if waited else 0.0)
    return t_quantile(_TAIL, count - 1) * math.sqrt(variance / count) * _widening(alike)


def _batched(windows: Sequence[Window]) -> list[float]:
    """The deviations of windows, joined until they hardly depend on one another."""
    batches = list(windows)
    deviations = _deviations(batches)
    while len(batches) >= 2 * LEAST_BATCHES and _depends(deviations):
        batches = _joined(batches)
        deviations = _deviations(batches)
    return deviations


def _ramp(rates: Sequence[float], latest: int) -> int:
    """MSER: how many of the first values, `latest` at most, are better left out."""
    centre = math.fsum(rates) / len(rates)
    total = squares = 0.0
    scores = []
    for count, rate in enumerate(reversed(rates), 1):
        total += rate - centre
        squares += (rate - centre) ** 2
        scores.append(max(squares - total * total / count, 0.0) / count**2)
    scores.reverse()
    good = min(scores[: latest + 1]) * TOLERANCE
    return next(first for first, score in enumerate(scores) if score <= good)


def _deviations(windows: Sequence[Window]) -> list[float]:
    """How far each is off the ratio of all, in tokens per second, as its share of the time has it.

    Their mean is 0, and their spread is that of the ratio (Cochran's estimate).
    """
    total = whole(windows)
    usual, rate = total.nanoseconds / len(windows) / SECOND, total.rate
    return [(w.tokens - rate * w.nanoseconds / SECOND) / usual for w in windows]


def _depends(deviations: Sequence[float]) -> bool:
    """Whether neighbours are more alike than half a standard error would have it."""
    return _correlation(deviations) > 0.5 / math.sqrt(len(deviations))


def _widening(correlation: float) -> float:
    """What a first-order dependence of neighbours adds to the standard error."""
    alike = min(max(correlation, 0.0), _MOST_CORRELATION)
    return math.sqrt((1 + alike) / (1 - alike))


def _correlation(deviations: Sequence[float]) -> float:
    """Between neighbours, less the bias of few values."""
    squares = math.fsum(d * d for d in deviations)
    if squares <= 0:
        return 0.0
    products = math.fsum(a * b for a, b in pairwise(deviations))
    return products / squares + 1 / len(deviations)


def _joined(windows: Sequence[Window]) -> list[Window]:
    """Each two as one; of an odd number the first is left out."""
    return [whole(pair) for pair in _pairs(windows)]


def _pairs(values: Sequence[_Value]) -> list[tuple[_Value, _Value]]:
    rest = values[len(values) % 2 :]
    return list(zip(rest[::2], rest[1::2], strict=True))
