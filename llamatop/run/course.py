"""Which level comes next: as planned, or as the levels before it went.

Knows the config and how levels ended; starts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from llamatop.events.kinds import Event, Outcome
from llamatop.figures.targets import kept_share
from llamatop.run.search import Load, Went, next_load
from llamatop.run.sweep import next_concurrency
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig


class Course:
    """Of one run's levels."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.tried: list[tuple[int, Outcome]] = []
        """Levels that are over: their concurrency, and how each ended."""
        self._judged = Session() if config.until_slo else None
        """What has come, where each level's requests are held against their targets."""
        self._loads: list[Went] = []
        """How those levels went."""
        self._concurrency = 0
        """Of the planned level that runs or ran last."""
        self.rate: float | None = None
        """Arrivals a second of the level that runs, where that is not the config's."""
        self._asked: RunConfig | None = None
        """A sweep that a person asked for while a level ran."""

    def hear(self, events: Iterable[Event]) -> None:
        """What has come, for a search that judges it."""
        if self._judged is not None:
            for event in events:
                self._judged.apply(event)

    def planned(self) -> int | None:
        """Requests in flight of the next level, where there is one."""
        if not self.config.until_slo:
            return next_concurrency(self.config, self.tried)
        return load.concurrency if (load := self._load()) is not None else None

    def begin(self, concurrency: int) -> None:
        """The planned level begins."""
        self.rate = load.rate if (load := self._load()) is not None else None
        self._concurrency = concurrency

    def end(self, level: int, outcome: Outcome) -> None:
        """A level is over; how many of its requests kept the targets decides what comes next."""
        self.tried.append((self._concurrency, outcome))
        if self._judged is None:
            return
        found = self._judged.levels.get(level)
        share = kept_share(found.requests, self.config.slo) if found is not None else None
        self._loads.append(Went(Load(self._concurrency, self.rate), outcome, share))

    def ask(self, levels: tuple[int, ...]) -> None:
        """These levels to their ends, once the one that runs is over: see `turn`."""
        self._asked = msgspec.structs.replace(
            self.config,
            concurrency=levels,
            requests=None,
            endless=False,
            until_oom=False,
            until_slo=False,
        )

    def turn(self) -> None:
        """A level is over: what was asked for takes the place of the plan."""
        if self._asked is not None:
            self.anew(self._asked)
            self._asked = None

    def anew(self, config: RunConfig) -> None:
        """The plan of `config`, from its first level on."""
        self.config, self.tried = config, []

    @property
    def worst(self) -> Outcome:
        """The first outcome that was not good."""
        return next((outcome for _, outcome in self.tried if outcome != "ok"), "ok")

    def _load(self) -> Load | None:
        """Where the most that keeps the targets is looked for, what comes next."""
        return next_load(self.config, self._loads) if self.config.until_slo else None
