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
from llamatop.events.kinds import Event, Outcome, RunEnded, RunStarted, SecondsThinned, Tick
from llamatop.figures.limits import DEFAULTS, limit
from llamatop.hardware.host import host_facts
from llamatop.hardware.listening import DeviceMemory
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import is_here
from llamatop.watch.alarms import Alarms
from llamatop.watch.server import WatchedServer
from llamatop.watch.thrift import Thrift
from llamatop.watch.weighing import Weighing

EVERY = SECOND
"""Between two looks (ns)."""

WEIGHED_EVERY = 2
"""Seconds between two looks at the memory of servers here."""


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
        self._alarms = Alarms([limit(text) for text in config.alerts or DEFAULTS])
        self._last: RunEnded | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        now, at = self.clock.now(), datetime.now(UTC).isoformat(timespec="seconds")
        facts = host_facts()
        self._inbox.append(RunStarted(now, self.config, facts, __version__, at, self.clock.origin))
        for place, url in enumerate(self.config.urls):
            server = WatchedServer(place, url, self.clock, self._headers.get(url))
            self._threads.append(threading.Thread(target=self._watch, args=(server,), daemon=True))
        if any(is_here(url) for url in self.config.urls):
            self._threads.append(threading.Thread(target=self._weigh, daemon=True))
        for thread in self._threads:
            thread.start()

    def drain(self) -> Sequence[Event]:
        """What has arrived; a tick a second keeps the session's time moving."""
        events = [self._inbox.popleft() for _ in range(len(self._inbox))]
        now, most = self.clock.now(), self.config.max_time
        if most is not None and now >= most * SECOND:
            self._finish("ok")
        if self._finished:
            ended, self._last = self._last, None
            return [*events, *([ended] if ended is not None else [])]
        self._alarms.fold(events)
        if now - self._ticked >= EVERY:
            self._ticked = now
            events += [Tick(now), *self._alarms.look(now)]
        return events

    @property
    def waiting(self) -> int:
        """Events that have arrived since the last drain."""
        return len(self._inbox)

    @property
    def ended(self) -> bool:
        """Whether the last event has been drained."""
        return self._finished and self._last is None

    def stop(self) -> None:
        """End the watch; its last event follows."""
        self._finish("stopped")

    def close(self) -> None:
        """Let the threads end; they take no longer than an answer."""
        self._closing.set()

    def resize(self, concurrency: int) -> None:
        """Nothing: the load is not ours."""

    def pause(self, paused: bool) -> None:
        """Nothing: the load is not ours."""

    def cancel(self, request: int) -> None:
        """Nothing: the load is not ours."""

    def sweep(self, levels: tuple[int, ...]) -> None:
        """Nothing: the load is not ours."""

    def _finish(self, outcome: Outcome) -> None:
        if not self._finished:
            self._closing.set()
            self._finished = True
            self._last = RunEnded(self.clock.now(), outcome)

    def _watch(self, server: WatchedServer) -> None:
        """Look at full seconds, so that servers are seen at the same moments."""
        thrift = Thrift()
        try:
            while not self._closing.is_set():
                events = server.look()
                self._inbox.extend(events)
                if thrift.count(events):
                    now = self.clock.now()
                    self._inbox.append(SecondsThinned(now, server.server, thrift.every))
                self._rest(thrift.every)
        finally:
            server.close()

    def _weigh(self) -> None:
        devices = DeviceMemory()
        weighings = [
            Weighing(place, url, self.clock, devices)
            for place, url in enumerate(self.config.urls)
            if is_here(url)
        ]
        while not self._closing.is_set():
            for weighing in weighings:
                self._inbox.extend(weighing.look())
            self._rest(WEIGHED_EVERY)

    def _rest(self, seconds: int) -> None:
        now, step = self.clock.now(), seconds * EVERY
        self._closing.wait((step - now % step) / SECOND)
