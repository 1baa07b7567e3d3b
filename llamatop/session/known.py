"""What is known of a run so far: the state that events add up to. How they do: `reducer`."""

from __future__ import annotations

import copy
from array import array
from dataclasses import dataclass, field, replace
from typing import Self

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    ClientSampled,
    DeviceAllocated,
    DeviceSampled,
    EngineLost,
    EngineTuned,
    EngineWarmed,
    Event,
    HostSampled,
    LevelReported,
    MachineMeasured,
    MemoryPredicted,
    MemoryUntold,
    ModelLoaded,
    ModelLoading,
    ModelTraced,
    RankSampled,
    RunEnded,
    RunImported,
    RunStarted,
    ServerKnown,
    ServerLost,
    ServerPrinted,
    ServerReady,
    ServerStarted,
)
from llamatop.session.requests import Level, Load, Request
from llamatop.session.watched import Watched

BIN = SECOND // 10
"""Width in nanoseconds of the bins in which tokens are counted for histories."""


@dataclass
class Known:
    """All that is known of a run so far.

    With `keep`, only so many requests are remembered, the newest, and old samples are thinned out:
    what an endless run on a screen needs, so that its memory stays flat.
    """

    keep: int | None = None
    texts: bool = field(default=True, compare=False)
    """Whether the text of a request that has ended is kept."""
    now: int = 0
    started: RunStarted | None = None
    imported: RunImported | None = None
    reported: dict[int, LevelReported] = field(default_factory=dict)
    """What another tool says of its levels."""
    joined: int = 0
    """When the recording began (ns): what was before is known of what was in flight then only."""
    serving: ServerStarted | None = None
    """The server that the run started."""
    printed: ServerPrinted | None = None
    """What it printed last while it loaded."""
    ready: ServerReady | None = None
    """When it had loaded."""
    loading: ModelLoading | None = None
    model: ModelLoaded | None = None
    refused: str | None = None
    machine: MachineMeasured | None = None
    tuned: EngineTuned | None = None
    traced: ModelTraced | None = None
    predicted: dict[int, MemoryPredicted] = field(default_factory=dict)
    """By level; a prediction comes before its level starts."""
    unforetold: MemoryUntold | None = None
    """Why there are no predictions, or came none for the first level."""
    warmed: EngineWarmed | None = None
    ended: RunEnded | None = None
    lost: EngineLost | None = None
    servers: dict[int, ServerKnown] = field(default_factory=dict)
    watched: dict[int, Watched] = field(default_factory=dict)
    """Servers that are watched, by their place among the URLs."""
    away: dict[int, ServerLost] = field(default_factory=dict)
    """Servers that are lost and not back yet."""
    loads: dict[int, Load] = field(default_factory=dict)
    """By server."""
    client: list[ClientSampled] = field(default_factory=list)
    paused: bool = False
    levels: dict[int, Level] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    active: dict[int, Request] = field(default_factory=dict)
    """Requests waiting or running, oldest first."""
    host: list[HostSampled] = field(default_factory=list)
    devices: dict[int, list[DeviceSampled]] = field(default_factory=dict)
    allocated: dict[int, list[DeviceAllocated]] = field(default_factory=dict)
    ranks: dict[int, RankSampled] = field(default_factory=dict)
    """The newest sample of each process that shares the model."""
    token_bins: array[int] = field(default_factory=lambda: array("q"))
    """Output tokens in each tenth of a second (`BIN`) since the run began, warm-up included."""
    notable: list[Event] = field(default_factory=list)
    """What a person should be told of, oldest first: levels, failures, losses; requests that were
    short, or sent again."""
    spreads: dict[bytes, array[int]] = field(default_factory=dict, compare=False, repr=False)
    """`counts` of requests that have ended, each once: nearly all are a token at a time."""
    untold: int = 0
    """Notable events that are in `notable` no more: with `keep`, old ones of requests go first."""

    @property
    def level(self) -> Level | None:
        """The newest level."""
        return next(reversed(self.levels.values()), None)

    @property
    def model_name(self) -> str:
        """What was asked for by name; else what a server calls its model, or where that is."""
        if self.started is None:
            return ""
        config = self.started.config
        if config.model or not config.urls:
            return config.model
        known = (server.model for server in self.servers.values() if server.model)
        return next(known, config.called)

    def copy(self) -> Self:
        """A session that goes on by itself; what no event changes any more is shared."""
        flying = {id: request.copy() for id, request in self.active.items()}
        other = copy.copy(self)
        other.active, other.requests = flying, {**self.requests, **flying}
        other.levels = {
            id: replace(level, requests=[flying.get(r.id, r) for r in level.requests])
            for id, level in self.levels.items()
        }
        other.predicted, other.reported = self.predicted.copy(), self.reported.copy()
        other.host, other.notable = self.host.copy(), self.notable.copy()
        other.servers, other.away = self.servers.copy(), self.away.copy()
        other.watched = {id: server.copy() for id, server in self.watched.items()}
        other.client = self.client.copy()
        other.loads = {id: replace(load) for id, load in self.loads.items()}
        other.devices = {id: samples.copy() for id, samples in self.devices.items()}
        other.allocated = {id: samples.copy() for id, samples in self.allocated.items()}
        other.ranks = self.ranks.copy()
        other.token_bins = self.token_bins[:]
        return other
