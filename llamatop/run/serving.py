"""The server that a run starts for itself, from its first line to its end.

Tells it as events; decides nothing of the run. What is started stands in `serve`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import msgspec

from llamatop.engines.server.secrets import Secrets
from llamatop.events.clock import SECOND
from llamatop.events.kinds import EngineLost, Event, ModelRefused, ServerPrinted, ServerReady
from llamatop.hardware.memory import oom_kills
from llamatop.predict.memory import Foretold
from llamatop.run.children import start
from llamatop.serve.child import ServerProcess
from llamatop.serve.leash import HASTE, NOT_STARTED
from llamatop.serve.plans import plan_for
from llamatop.serve.ready import HOST, Readiness
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import sent_headers

PATIENCE_SECONDS = 5.0
"""How long a server may take to end by itself after a run that came to its end."""

TOLD_LINES = 20
"""What a server that was lost printed last, for a person to read."""

REFUSAL_SECONDS = 5.0
"""So long a refusal of whoever drives the server waits for the server's end, which would explain
it: one that dies closes its connections before its process is gone."""

_USAGE = 2
"""Exit code of a program that does not understand its options."""

_SHORTEST = 8
"""A value of fewer characters is a setting rather than a secret."""

_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")


class Serving:
    """One server; belongs to the thread that drains its run."""

    def __init__(self, config: RunConfig) -> None:
        """Raises InputError where no server could be started so."""
        self.plan = plan_for(config)
        url = f"http://{HOST}:{self.plan.port}"
        self.config = msgspec.structs.replace(config, urls=(url,))
        self.ready = False
        self._process: ServerProcess | None = None
        self._readiness: Readiness | None = None
        self._told = ""
        self._began = 0
        self._models: list[str] = []
        self._refusal: ModelRefused | None = None
        self._kills = oom_kills()

    @property
    def pid(self) -> int | None:
        """The process whose descendants the server is."""
        return self._process.pid if self._process is not None else None

    @property
    def for_client(self) -> RunConfig:
        """The settings as whoever drives it needs them: with the model as the server calls it."""
        one = self._models[0] if len(self._models) == 1 else ""
        asked = self.config.model if self.config.model in self._models else ""
        model = self.plan.calls or asked or one or self.plan.model
        tokenizer = self.config.tokenizer or self.plan.tokenizer
        return msgspec.structs.replace(self.config, model=model, tokenizer=tokenizer)

    def prepare(self, config: RunConfig, now: Callable[[], int]) -> Foretold:
        """What can be foretold of its memory; in a thread of its own."""
        if not self.plan.foretold:
            return Foretold([], lambda *_: None)
        from llamatop.serve.foretold import foretell  # noqa: PLC0415  (not for the first paint)

        return foretell(config, self.plan.model, now)

    @property
    def last_lines(self) -> list[str]:
        """What it printed last."""
        return list(self._process.lines)[-TOLD_LINES:] if self._process is not None else []

    def start(self, now: int) -> None:
        """Start it; returns at once."""
        self._began = now
        config = self.config
        secrets = Secrets(config.api_key_env, _secrets_of(os.environ), os.environ)
        self._process = start(lambda: ServerProcess(self.plan, secrets.scrub))
        headers = sent_headers(config.api_key_env, config.headers, os.environ)
        self._readiness = Readiness(self.plan.port, headers)

    def look(self, now: int) -> list[Event]:
        """What is new; the last of it is its loss, where it was lost."""
        if self._process is None:
            return []
        if self._process.exit_code is not None:
            return [*self._printed(now), self._loss(now, self._process)]
        if self.ready:
            return self._overdue_refusal(now)
        if self._readiness is not None and self._readiness.models is not None:
            self.ready, self._models = True, self._readiness.models
            return [*self._printed(now), ServerReady(now)]
        limit = self.config.serve_timeout
        if now - self._began > limit * SECOND:
            self.ask_to_end(hurried=True)
            last = f"; it said: {self._told}" if self._told else ""
            reason = f"the server was not ready within {limit:g} s (--serve-timeout){last}"
            return [EngineLost(now, None, reason, server=True)]
        return self._printed(now)

    def explain(self, events: list[Event]) -> list[Event]:
        """The same events without a refusal, which `look` tells where the server goes on."""
        for event in events:
            if isinstance(event, ModelRefused):
                self._refusal = event
        return [event for event in events if not isinstance(event, ModelRefused)]

    def _overdue_refusal(self, now: int) -> list[Event]:
        refusal = self._refusal
        if refusal is None or now - refusal.time < REFUSAL_SECONDS * SECOND:
            return []
        self._refusal = None
        return [refusal]

    def ask_to_end(self, hurried: bool) -> None:
        """Let it end by itself for a while, after which it is ended; returns at once."""
        if self._readiness is not None:
            self._readiness.stop()
        if self._process is not None:
            self._process.ask_to_end(HASTE if hurried else PATIENCE_SECONDS)

    def wait(self) -> None:
        """Until nothing of it is left; a process that even the kernel cannot end is left to the
        leash."""
        if self._process is not None:
            self._process.wait(PATIENCE_SECONDS + 2)

    def _printed(self, now: int) -> list[Event]:
        """Its newest line, while it loads and where that is a new one."""
        newest = self._process.lines[-1] if self._process and self._process.lines else ""
        if not newest or newest == self._told:
            return []
        self._told = newest
        return [ServerPrinted(now, newest)]

    def _loss(self, now: int, process: ServerProcess) -> Event:
        """It ended by itself."""
        code, reason = process.exit_code, process.reason()
        served = self._readiness is not None and self._readiness.models is not None
        if not served and code in (_USAGE, NOT_STARTED):
            return ModelRefused(now, f"--serve {self.plan.shown}: it does not start: {reason}")
        kills = oom_kills()
        if code == -9 and kills is not None and kills != self._kills:
            reason = "out of memory: the kernel ended the server"
        when = "" if served else " while it was loading"
        return EngineLost(now, code, f"the server ended{when}: {reason}", server=True)


def _secrets_of(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Variables whose values no line of a server may show."""
    return [
        ("", name)
        for name, value in environment.items()
        if name.upper().endswith(_SECRET_NAMES) and len(value.strip()) >= _SHORTEST
    ]
