"""What Prometheus asks for, counted event by event: totals that only grow, and what is so now.

A `pump.Sink` of a live run, and what a recording's events are put through: the same either way. It
holds little more than the requests in flight. Latencies are those of completed, measured requests,
as in the summary. Whoever reads it from another thread takes `lock`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    DeviceSampled,
    EngineLost,
    Event,
    HostSampled,
    LevelStarted,
    ModelLoaded,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    RunStarted,
    TokensCounted,
    TokensEmitted,
    TokensSummed,
)

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
           120.0, 300.0)  # fmt: skip
"""Upper ends of buckets in seconds, of what a whole request or its first token takes."""

PACE = (0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5,
        1.0, 2.5, 10.0)  # fmt: skip
"""The same of what one token takes."""

OUTCOMES = ("completed", "failed", "cancelled")


@dataclass
class Histogram:
    """How many values lie in each bucket, and their sum."""

    ends: Sequence[float]
    counts: list[int] = field(default_factory=list)
    """One more than `ends`: the last has no end."""
    total: float = 0.0

    def __post_init__(self) -> None:
        """Empty buckets, where none are given."""
        self.counts = self.counts or [0] * (len(self.ends) + 1)

    def see(self, value: float, times: int = 1) -> None:
        """One value, or several that are alike (a bucket's end belongs to it)."""
        self.counts[bisect_left(self.ends, value)] += times
        self.total += value * times

    def add(self, other: Histogram) -> None:
        """All that another saw."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


@dataclass
class Counts:
    """What one concurrency adds up to."""

    requests: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    output_tokens: int = 0
    prompt_tokens: int = 0
    ttft: Histogram = field(default_factory=lambda: Histogram(LATENCY))
    tpot: Histogram = field(default_factory=lambda: Histogram(PACE))
    itl: Histogram = field(default_factory=lambda: Histogram(PACE))
    e2e: Histogram = field(default_factory=lambda: Histogram(LATENCY))
    queue: Histogram = field(default_factory=lambda: Histogram(LATENCY))


@dataclass(slots=True)
class _Flying:
    """A request in flight; times in ns."""

    queued: RequestQueued
    level: int
    admitted: int | None = None
    first: int | None = None
    last: int | None = None
    tokens: int = 0
    counted: bool = True
    summed: bool = False
    gaps: Histogram | None = None


class Tally:
    """The sink. Counts go on over several runs of one process, as Prometheus expects."""

    error: str | None = None

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.levels: dict[int, Counts] = {}
        """By concurrency; warm-up is in none of them."""
        self.started: RunStarted | None = None
        self.model: ModelLoaded | None = None
        self.running = False
        self.concurrency: int | None = None
        self.host: HostSampled | None = None
        self.devices: dict[int, DeviceSampled] = {}
        self._at_once: dict[int, int] = {}
        self._flying: dict[int, _Flying] = {}

    @property
    def in_flight(self) -> int:
        """Requests that were admitted and have not ended."""
        return sum(one.admitted is not None for one in self._flying.values())

    @property
    def waiting(self) -> int:
        """Requests that wait to be admitted."""
        return len(self._flying) - self.in_flight

    def write(self, events: Sequence[Event]) -> None:
        """Count events; never raises."""
        with self.lock:
            for event in events:
                self._see(event)

    def _see(self, event: Event) -> None:
        match event:
            case TokensEmitted():
                self._emit(event)
            case RequestQueued():
                self._flying[event.request] = _Flying(event, event.level)
            case RequestAdmitted():
                if (one := self._flying.get(event.request)) is not None:
                    one.admitted, one.level = event.time, event.level
            case TokensSummed():
                self._sum(event)
            case TokensCounted():
                one = self._flying.get(event.request)
                if one is not None and event.count is not None and not one.summed:
                    one.tokens = event.count
            case RequestFinished():
                self._end(event.request, "completed")
            case RequestFailed():
                self._end(event.request, "failed")
            case RequestCancelled():
                self._end(event.request, "cancelled")
            case _:
                self._note(event)

    def _note(self, event: Event) -> None:
        """Facts of which the newest counts."""
        match event:
            case RunStarted():
                self.started, self.model, self.running = event, None, True
                self._flying, self._at_once = {}, {}
            case ModelLoaded():
                self.model = event
            case LevelStarted():
                self.concurrency = self._at_once[event.level] = event.concurrency
                self.levels.setdefault(event.concurrency, Counts())
            case HostSampled():
                self.host = event
            case DeviceSampled():
                self.devices[event.device] = event
            case EngineLost():
                for request in list(self._flying):
                    self._end(request, "failed")
            case RunEnded():
                self.running = False

    def _emit(self, event: TokensEmitted) -> None:
        """Called for every token."""
        one = self._flying.get(event.request)
        if one is None or event.count < 1:
            return
        if one.last is None:
            one.first = event.time
        else:
            gap = (event.time - one.last) / SECOND / event.count
            if one.gaps is None:
                one.gaps = Histogram(PACE)
            one.gaps.see(gap, event.count)
        one.last = event.time
        one.tokens += event.count

    def _sum(self, event: TokensSummed) -> None:
        if (one := self._flying.get(event.request)) is not None:
            one.last, one.summed = event.time, True
            one.counted = event.count is not None
            one.tokens += event.count or 0

    def _end(self, request: int, outcome: str) -> None:
        one = self._flying.pop(request, None)
        if one is None or one.queued.warmup:
            return
        counts = self.levels.setdefault(self._at_once.get(one.level, 0), Counts())
        counts.requests[outcome] += 1
        counts.output_tokens += one.tokens
        counts.prompt_tokens += one.queued.prompt_tokens or 0
        if outcome == "completed":
            self._time(one, counts)

    def _time(self, one: _Flying, counts: Counts) -> None:
        """The latencies of a completed request."""
        begin = one.queued.time
        if one.admitted is not None:
            counts.queue.see((one.admitted - begin) / SECOND)
        if one.first is not None:
            counts.ttft.see((one.first - begin) / SECOND)
        if one.last is not None:
            counts.e2e.see((one.last - begin) / SECOND)
            if one.first is not None and one.tokens > 1 and one.counted:
                counts.tpot.see((one.last - one.first) / SECOND / (one.tokens - 1))
        if one.gaps is not None and not one.summed:
            counts.itl.add(one.gaps)
