"""The engine `server` at work in a thread of the test, and what it told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.server.engine import ServerEngine
from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import Event, HostFacts, RequestSent, RunStarted, ServerKnown
from llamatop.events.wire import RunLevel
from llamatop.session.reducer import Session
from llamatop.session.requests import Request
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig, whole_prompts
from tests.waiting import until

E = TypeVar("E", bound=Event)


class Driven:
    """Levels, one after another, on servers that are known."""

    all: ClassVar[list[Driven]] = []
    """Those of the test that runs, for its end."""

    def __init__(self, *urls: str, **settings: Any) -> None:
        settings = {"model": "", "prompt_toks": 16, "gen_toks": 8, **settings}
        self.config = checked(whole_prompts(RunConfig(engine="server", urls=urls, **settings)))
        self.clock = MonotonicClock()
        self.session = Session()
        self.events: list[Event] = []
        self._outbox = Outbox()
        self._levels = itertools.count()
        host = HostFacts("", "", 1, None, "")
        self._outbox.put(RunStarted(0, self.config, host, "", ""))
        self.engine = ServerEngine(self.config, self.clock, lambda *_: None, self._outbox.put)
        self.run: LevelRun | None = None
        self.all.append(self)
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """End what runs, and its connections."""
        if self.run is not None:
            self.run.stop()
            self.end()
        self.engine.close()

    def level(self, requests: int | None = 4, concurrency: int = 1) -> Driven:
        """A level, to its end."""
        return self.start(requests, concurrency).end()

    def start(self, requests: int | None = None, concurrency: int = 1) -> Driven:
        """A level that goes on by itself."""
        self.look()
        first = len(self.session.requests)
        command = RunLevel(next(self._levels), concurrency, requests, first)
        self.run = LevelRun(self.engine, self.config, command, self.clock, self._outbox)
        self._thread = threading.Thread(target=self.run.run, args=(False,), daemon=True)
        self._thread.start()
        return self

    def end(self, seconds: float = 60) -> Driven:
        """Wait until the level has ended."""
        assert self._thread is not None
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the level hangs"
        self.look()
        return self

    def until(self, condition: Callable[[Driven], Any], seconds: float = 60) -> Driven:
        """Wait until it holds of what was told so far."""

        def holds() -> object:
            self.look()
            return condition(self)

        until(holds, seconds)
        return self

    def look(self) -> None:
        for event in self._outbox.drain():
            self.events.append(event)
            self.session.apply(event)

    def of(self, kind: type[E]) -> list[E]:
        """Events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def known(self) -> ServerKnown:
        """What is known of the first server."""
        self.look()
        return self.session.servers[0]

    @property
    def requests(self) -> list[Request]:
        """Measured ones."""
        return [one for one in self.session.requests.values() if not one.warmup]

    @property
    def errors(self) -> set[str]:
        """Of measured requests that failed."""
        return {one.error for one in self.requests if one.state == "failed"}

    def sendings(self, request: int) -> list[RequestSent]:
        """Each time that a request was sent."""
        return [event for event in self.of(RequestSent) if event.request == request]
