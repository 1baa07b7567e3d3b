"""A recording as a source of events: played, paused, sped up, stepped and sought.

Events come out in the order in which they were recorded, but for ticks (see `in_time`), each when
the position has reached the latest time seen up to it. Knows no file and no screen; the person's
clock only moves the position.
"""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from llamatop.events.clock import SECOND, Clock, MonotonicClock
from llamatop.events.kinds import DeviceSampled, Event, HostSampled, RunStarted, Tick
from llamatop.events.sanitize import clean_event
from llamatop.run.in_time import due, in_time
from llamatop.session.blocks import Blocks
from llamatop.session.reducer import Session

SNAPSHOT_EVENTS = 10_000
"""A copy of the session is kept every so many events, so that a seek is quick."""

EVENTS_PER_REQUEST = 4
"""And so many for each request in it, so that all copies together stay small beside the events."""

_BREATH = 0.005
"""Seconds between two pieces of `prepare`, for whoever draws meanwhile."""

_QUIET = (Tick, HostSampled, DeviceSampled)
"""Events that no step stops at: they come by the clock."""

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Replay:
    """Plays events; a `pump.Source`. Times are nanoseconds of the recorded run."""

    def __init__(
        self, events: Sequence[Event], speed: float = 1.0, clock: Clock | None = None
    ) -> None:
        self.events = _in_time(events)
        self.speed = speed
        self.playing = True
        self.start = start_of(events)
        """When the recording begins (ns): later than 0 where it was started during the run."""
        self.position = self.start
        self._clock = clock or MonotonicClock()
        self._last = self._clock.now()
        self._due = _due(self.events)
        self._next = 0
        self._folding = threading.Lock()
        self._head = Session()
        """Folded as far as the newest snapshot."""
        self._snapshots: list[tuple[int, Session]] = [(0, Session())]

    @property
    def length(self) -> int:
        """When the last event is due (ns)."""
        return self._due[-1] if self._due else 0

    @property
    def rare(self) -> Iterable[Event]:
        """The events without emissions and ticks, where they are held apart; else all."""
        return self.events.rare if isinstance(self.events, Blocks) else self.events

    @property
    def ended(self) -> bool:
        """Whether the position has passed every event (a seek back changes that)."""
        return self._next >= len(self.events)

    def drain(self) -> Sequence[Event]:
        """Move the position by the time that passed, and hand out what has come due."""
        now = self._clock.now()
        passed, self._last = now - self._last, now
        if self.playing:
            self._move(passed)
        start, self._next = self._next, bisect_right(self._due, self.position)
        return self.events[start : self._next]

    def _move(self, passed: int) -> None:
        """Move the position by so much of the person's time (ns)."""
        self.position = min(self.position + int(passed * self.speed), self.length)

    def pause(self, paused: bool) -> None:
        """Hold the position, or let it go on; play at the end begins anew only by a seek."""
        self.playing = not paused

    def faster(self, steps: int = 1) -> None:
        """The next of `SPEEDS` up, or down where `steps` is negative."""
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)]

    def seek(self, position: int) -> Session:
        """Go to a position; the session as it was then, for the caller's pump."""
        self.position = max(min(position, self.length), self.start)
        self._next = bisect_right(self._due, self.position)
        return self._fold(self._next)

    def seek_seconds(self, seconds: float) -> Session:
        """Go forwards or backwards by so many seconds."""
        return self.seek(self.position + round(seconds * SECOND))

    def step(self, direction: int = 1) -> Session:
        """Go to the next or previous moment at which something happened: a token, most often."""
        if direction > 0:
            places = range(bisect_right(self._due, self.position), len(self._due))
        else:
            places = range(bisect_left(self._due, self.position) - 1, -1, -1)
        there = next((p for p in places if not isinstance(self.events[p], _QUIET)), None)
        if there is None:
            return self.seek(self.length if direction > 0 else self.start)
        return self.seek(self._due[there])

    def prepare(self) -> None:
        """Make all snapshots, so that every seek is quick; for a thread, since it takes a while."""
        while True:
            with self._folding:
                if not self._fold_on():
                    return
            time.sleep(_BREATH)

    def close(self) -> None:
        """Nobody looks any more."""

    def _fold(self, end: int) -> Session:
        """The session after the first `end` events, from the nearest snapshot before."""
        with self._folding:
            while self._next_snapshot() <= end:
                self._fold_on()
            at, snapshot = self._snapshots[bisect_right(self._snapshots, end, key=_place) - 1]
            session = snapshot.copy()
        _apply(session, self.events, at, end)
        return session

    def _next_snapshot(self) -> int:
        """After how many events the next one is due: it has to be worth the requests it holds."""
        apart = max(SNAPSHOT_EVENTS, EVENTS_PER_REQUEST * len(self._head.requests))
        return self._snapshots[-1][0] + apart

    def _fold_on(self) -> bool:
        """Make the next snapshot; False where the recording has no more events for one."""
        at, to = self._snapshots[-1][0], self._next_snapshot()
        if to > len(self.events):
            return False
        _apply(self._head, self.events, at, to)
        self._snapshots.append((to, self._head.copy()))
        return True


def start_of(events: Sequence[Event]) -> int:
    """When a recording begins (ns)."""
    first = events[0] if events else None
    return first.joined if isinstance(first, RunStarted) else 0


def _in_time(events: Sequence[Event]) -> Sequence[Event]:
    """The same, with their ticks in time."""
    return Blocks(map(in_time, events.blocks)) if isinstance(events, Blocks) else events


def _due(events: Sequence[Event]) -> array[int]:
    """When each event is played (ns)."""
    if not isinstance(events, Blocks):
        return array("q", accumulate((event.time for event in events), max))
    found = array("q")
    for block in events.blocks:
        found += due(block, found[-1] if found else 0)
    return found


def _apply(session: Session, events: Sequence[Event], start: int, end: int) -> None:
    """Fold the events from `start` to `end`, cleaned."""
    if isinstance(events, Blocks):
        events.fold_into(session, start, end)
        return
    for event in events[start:end]:
        session.apply(clean_event(event))


def _place(snapshot: tuple[int, Session]) -> int:
    return snapshot[0]


def fold(events: Sequence[Event]) -> Session:
    """The session that a whole stream adds up to."""
    session = Session()
    _apply(session, events, 0, len(events))
    return session
