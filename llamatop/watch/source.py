"""A watch as a source of events: every server on a thread of its own, once a second.

One that is slow holds up no other. Knows no screen and no file.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from llamatop import __version__
from llamatop.events.clock import SECOND, MonotonicClock
from llamatop.events.kinds import Event, Outcome, RunEnded, RunStarted, Tick
from llamatop.hardware.host import host_facts
from llamatop.settings.config import RunConfig
from llamatop.watch.server import WatchedServer

EVERY = SECOND
"""Between two looks (ns)."""


class Watch:
    """Watches the servers of a config; a `pump.Source`."""

    def __init__(
        self, config: RunConfig, headers: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """`headers`: what is sent to each address with every question, a key perhaps."""
        self.config = config
        self.clock = MonotonicClock()
        self._headers = headers or {}
        self._inbox: deque[Event] = deque()
        self._closing = threading.Event()
        self._outcome: Outcome = "ok"
        self._finished = False
        self._ticked = -EVERY
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; returns at once."""
        now, at = self.clock.now(), datetime.now(UTC).isoformat(timespec="seconds")
        facts = host_facts()
        self._inbox.append(RunStarted(now, self.config, facts, __version__, at, self.clock.origin))
        for place, url in enumerate(self.config.urls):
            server = WatchedServer(place, url, self.clock, self._headers.get(url))
            self._threads.append(threading.Thread(target=self._watch, args=(server,), daemon=True))
        for thread in self._threads:
            thread.start()

    def drain(self) -> Sequence[Event]:
        """What has arrived; a tick a second keeps the session's time moving."""
        events = [self._inbox.popleft() for _ in range(len(self._inbox))]
        now, limit = self.clock.now(), self.config.max_time
        if limit is not None and now >= limit * SECOND and not self._finished:
            self._finish("ok")
        if self._finished:
            ended, self._finished_event = self._finished_event, None
            return [*events, ended] if ended is not None else []
        if now - self._ticked >= EVERY:
            self._ticked = now
            events.append(Tick(now))
        return events

    @property
    def waiting(self) -> int:
        """Events that have arrived since the last drain."""
        return len(self._inbox)

    @property
    def ended(self) -> bool:
        """Whether the last event has been drained."""
        return self._finished and self._finished_event is None

    def stop(self) -> None:
        """End the watch."""
        if not self._finished:
            self._finish("stopped")

    def close(self) -> None:
        """Let the threads end; they take no longer than an answer."""
        self._closing.set()

    _finished_event: RunEnded | None = None

    def _finish(self, outcome: Outcome) -> None:
        self._closing.set()
        self._finished = True
        self._finished_event = RunEnded(self.clock.now(), outcome)

    def _watch(self, server: WatchedServer) -> None:
        """Look at full seconds, so that servers are seen at the same moments."""
        try:
            while not self._closing.is_set():
                self._inbox.extend(server.look())
                now = self.clock.now()
                self._closing.wait((EVERY - now % EVERY) / SECOND)
        finally:
            server.close()
