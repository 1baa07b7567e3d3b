"""One path for every event: source, session, sinks. Live run, headless run and replay alike.

Whoever drives it (a timer of the screen, the loop of a headless run) calls `step`; nothing here
knows where events come from or how they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llamatop.events.kinds import Event, RequestQueued
from llamatop.events.sanitize import clean_event
from llamatop.session.reducer import Session


class Source(Protocol):
    """Where events come from."""

    @property
    def ended(self) -> bool:
        """Whether no more events will come after those already drained."""

    def drain(self) -> Sequence[Event]:
        """What has arrived since the last call, in order; never waits."""


@runtime_checkable
class Queued(Protocol):
    """A source that knows what has arrived and not been drained."""

    @property
    def waiting(self) -> int:
        """How many events that are."""


class Sink(Protocol):
    """Where events go besides the session. A sink that fails says so in `error` itself."""

    error: str | None

    def write(self, events: Sequence[Event]) -> None:
        """Take events; returns at once and never raises."""


class Pump:
    """Moves what has arrived from a source through the session and into the sinks."""

    def __init__(self, source: Source, session: Session, sinks: Sequence[Sink] = ()) -> None:
        self.source = source
        self._queued = source if isinstance(source, Queued) else None
        self.session = session
        self.sinks = list(sinks)
        self.moved = 0
        """Events moved so far."""
        self.late = 0
        """How long (ns) the first event of the last step had been on its way.

        Not a `RequestQueued`, whose time is when the request was due.
        """

    @property
    def behind(self) -> int | None:
        """Events that have arrived and were not moved yet; None: this source does not know."""
        return self._queued.waiting if self._queued is not None else None

    def step(self) -> int:
        """Move what has arrived; how many events that were."""
        events = [clean_event(event) for event in self.source.drain()]
        apply = self.session.apply
        for event in events:
            apply(event)
        if events:
            for sink in self.sinks:
                sink.write(events)
            last = events[-1].time
            sent = (event.time for event in events if not isinstance(event, RequestQueued))
            self.late = max(last - next(sent, last), 0)
        self.moved += len(events)
        return len(events)
