"""Every server of a run on a thread of its own, looked at once a second; limits held against it.

One that is slow holds up no other, and what goes wrong in a look is how that server stands. Whoever
drains decides what else is told: a watch alone (`source`), or a run that drives the same servers.
Knows no screen and no file.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from llamatop.events.clock import SECOND, Clock
from llamatop.events.kinds import Event, SecondsThinned
from llamatop.figures.limits import DEFAULTS, limit
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

LAST_LOOK = 5 * SECOND
"""How long (ns) an end waits for the last look: a server may be in a long prefill."""

HURRIED = SECOND // 3
"""The same where a person waits for the end."""


class Lookout:
    """Watches the servers of a config; `drain` belongs to one thread."""

    def __init__(
        self,
        config: RunConfig,
        clock: Clock,
        headers: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`headers`: what is sent to each address with every question, a key perhaps."""
        self._urls = config.urls
        self._clock = clock
        self._headers = headers or {}
        self._inbox: deque[Event] = deque()
        self._closing = threading.Event()
        self._lasting = False
        """Whether each server is looked at once more when it closes."""
        self._until = 0
        self._watching: list[threading.Thread] = []
        self._alarms = Alarms([limit(text) for text in config.alerts or DEFAULTS])
        self._looked = 0

    def start(self) -> None:
        """Begin; returns at once."""
        for place, url in enumerate(self._urls):
            server = WatchedServer(place, url, self._clock, self._headers.get(url))
            watching = threading.Thread(target=self._watch, args=(server,), daemon=True)
            self._watching.append(watching)
            watching.start()
        if any(is_here(url) for url in self._urls):
            threading.Thread(target=self._weigh, daemon=True).start()

    def drain(self) -> Sequence[Event]:
        """What was told since the last call, and once a second which limits are broken by it."""
        events = [self._inbox.popleft() for _ in range(len(self._inbox))]
        self._alarms.fold(events)
        now = self._clock.now()
        if now - self._looked >= EVERY:
            self._looked = now
            events += self._alarms.look(now)
        return events

    @property
    def waiting(self) -> int:
        """Events that were told since the last drain."""
        return len(self._inbox)

    def finish(self, patience: int = LAST_LOOK) -> None:
        """Look at each server once more, with what it did until now, and end.

        `patience`: how long (ns) until it is `over`, whether they have answered or not.
        """
        self._until = self._clock.now() + patience
        self._lasting = True
        self._closing.set()

    @property
    def over(self) -> bool:
        """Whether what was told by now is the last, though some of it may still be drained."""
        waited = self._clock.now() >= self._until
        return waited or not any(watching.is_alive() for watching in self._watching)

    def close(self) -> None:
        """Let the threads end; they take no longer than an answer."""
        self._closing.set()

    def _watch(self, server: WatchedServer) -> None:
        """Look at full seconds, so that servers are seen at the same moments."""
        thrift = Thrift()
        try:
            while not self._closing.is_set():
                events = server.look()
                self._inbox.extend(events)
                if thrift.count(events):
                    now = self._clock.now()
                    self._inbox.append(SecondsThinned(now, server.server, thrift.every))
                self._rest(thrift.every)
            if self._lasting:
                self._inbox.extend(server.look())
        finally:
            server.close()

    def _weigh(self) -> None:
        devices = DeviceMemory()
        weighings = [
            Weighing(place, url, self._clock, devices)
            for place, url in enumerate(self._urls)
            if is_here(url)
        ]
        while not self._closing.is_set():
            for weighing in weighings:
                self._inbox.extend(weighing.look())
            self._rest(WEIGHED_EVERY)

    def _rest(self, seconds: int) -> None:
        now, step = self._clock.now(), seconds * EVERY
        self._closing.wait((step - now % step) / SECOND)
