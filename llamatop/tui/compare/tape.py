"""One run laid beside others: what it did at any time since it, or one of its levels, began.

Works on the whole folded session: to move in it costs nothing. Knows no screen; judges nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event
from llamatop.figures.served import on_servers
from llamatop.reports.runs import Run
from llamatop.session.known import BIN
from llamatop.session.requests import Level, Request

TOKENS = 8
"""A rate is the mean over a stretch in which about so many tokens come, 10 s at most."""

_HELD = 3 * SECOND
"""A sample of memory counts until the next, but no longer than this."""

_time = attrgetter("time")


class Stretch(NamedTuple):
    """Part of a run, in ns of the run."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Nanoseconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Moment:
    """What a run did at one time; None: not known, or not within the run."""

    rate: float | None
    """Output tokens per second."""
    flying: int
    done: int
    """Measured requests that completed since the stretch began."""
    failed: int
    tokens: int
    """Since the stretch began, warm-up included."""
    memory: float | None
    """Bytes."""


class Tape:
    """A run with its letter; every time is in ns since the stretch asked about began."""

    def __init__(self, letter: str, label: str, run: Run) -> None:
        self.letter = letter
        self.label = label
        self.run = run
        self.is_table = run.told is not None
        """Whether it is another tool's figures, without requests and times."""
        session = run.session
        self.levels: dict[int, Level] = {}
        """The first level of each concurrency: what a comparison pairs."""
        for level in session.levels.values():
            self.levels.setdefault(level.concurrency, level)
        self._tokens = [0, *accumulate(session.token_bins)]
        """Tokens before each bin."""
        measured = [r for level in session.levels.values() for r in level.requests]
        self._begun = sorted(_begin(r) for r in measured)
        self._over = sorted(r.ended for r in measured if r.ended is not None)
        self._done = sorted(r.ended for r in measured if r.state == "done" and r.ended)
        self._failed = sorted(r.ended for r in measured if r.state == "failed" and r.ended)
        self._samples, self._bytes = _memory_of(run)
        self._kept: dict[tuple[str, Stretch, int, int], list[float | None]] = {}
        """Histories of what is shown, so that playing costs no more than drawing."""

    def stretch(self, concurrency: int | None) -> Stretch | None:
        """That of a level; without a concurrency, all from the first level on."""
        session = self.run.session
        if concurrency is None:
            first = next(iter(session.levels.values()), None)
            return Stretch(session.joined if first is None else first.started, session.now)
        level = self.levels.get(concurrency)
        if level is None:
            return None
        return Stretch(level.started, session.now if level.ended is None else level.ended)

    def rates(self, stretch: Stretch, step: int, cells: int) -> list[float | None]:
        """Output tokens per second in each step of a stretch; None after its end."""
        key = ("rates", stretch, step, cells)
        if key not in self._kept:
            window = self._window(stretch, step)
            ends = (step * (i + 1) for i in range(cells))
            self._keep(key, [self._cell_rate(stretch, end, step, window) for end in ends])
        return self._kept[key]

    def _keep(self, key: tuple[str, Stretch, int, int], values: list[float | None]) -> None:
        """Only what is shown now: another stretch or width forgets the rest."""
        self._kept = {k: v for k, v in self._kept.items() if k[1:] == key[1:]} | {key: values}

    def _cell_rate(self, stretch: Stretch, end: int, step: int, window: int) -> float | None:
        """The mean over `window` until `end`, no further back than the stretch."""
        if end - step >= stretch.length:
            return None
        end = min(end, max(stretch.length, BIN))
        return self._rate(stretch, max(end - window, 0), end)

    def _window(self, stretch: Stretch, step: int) -> int:
        tokens = self._between(stretch.start, stretch.end)
        wished = TOKENS * stretch.length // tokens if tokens else 0
        return max(step, min(max(wished, SECOND // 2), 10 * SECOND))

    def _rate(self, stretch: Stretch, start: int, end: int) -> float | None:
        first, last = (stretch.start + start) // BIN, (stretch.start + end) // BIN
        last = max(last, first + 1)
        tokens = self._upto(last) - self._upto(first)
        return tokens * SECOND / ((last - first) * BIN)

    def _between(self, start: int, end: int) -> int:
        return self._upto(-(-end // BIN)) - self._upto(start // BIN)

    def _upto(self, bin: int) -> int:
        return self._tokens[min(max(bin, 0), len(self._tokens) - 1)]

    def memory(self, stretch: Stretch, step: int, cells: int) -> list[float | None]:
        """Bytes at the end of each step: of the accelerator, else of the engine process."""
        key = ("memory", stretch, step, cells)
        if key not in self._kept:
            ends = (step * (i + 1) for i in range(cells))
            self._keep(key, [self._cell_memory(stretch, end, step) for end in ends])
        return self._kept[key]

    def _cell_memory(self, stretch: Stretch, end: int, step: int) -> float | None:
        if end - step >= stretch.length:
            return None
        return self._memory_at(stretch.start + min(end, stretch.length), max(step, _HELD))

    def _memory_at(self, time: int, held: int) -> float | None:
        place = bisect_right(self._samples, time, key=_time) - 1
        if place < 0 or time - self._samples[place].time > held:
            return None
        value: float | None = getattr(self._samples[place], self._bytes)
        return value

    def at(self, stretch: Stretch, time: int) -> Moment:
        """What the run did `time` ns after the stretch began."""
        here = stretch.start + min(time, stretch.length)
        over = time > stretch.length
        window = self._window(stretch, BIN)
        rate = None if over else self._rate(stretch, max(time - window, 0), max(time, 1))
        flying = bisect_right(self._begun, here) - bisect_right(self._over, here)
        memory = None if over else self._memory_at(here, _HELD)
        return Moment(
            rate,
            0 if over else flying,
            _within(self._done, stretch.start, here),
            _within(self._failed, stretch.start, here),
            self._between(stretch.start, here),
            memory,
        )

    def marks(self, stretch: Stretch, concurrency: int | None) -> list[tuple[int, str, str]]:
        """(time, kind, name) of the levels that began and the requests that failed within it."""
        levels = self.run.session.levels.values() if concurrency is None else ()
        found = [(level.started, "level", str(level.concurrency)) for level in levels]
        found += [(time, "failure", "") for time in self._failed]
        return [
            (time - stretch.start, kind, name)
            for time, kind, name in found
            if stretch.start <= time <= stretch.end
        ]


def _begin(request: Request) -> int:
    return request.scheduled if request.admitted is None else request.admitted


def _within(times: Sequence[int], start: int, end: int) -> int:
    return bisect_right(times, end) - bisect_left(times, start)


def _memory_of(run: Run) -> tuple[Sequence[Event], str]:
    """The samples of memory that tell most, and their field."""
    session = run.session
    if session.devices:
        return session.devices[min(session.devices)], "used_bytes"
    return session.host, "server_bytes" if on_servers(session) else "engine_bytes"
