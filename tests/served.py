"""A run on servers without a server: a scripted run, told as a client would tell it.

Named as scripted wherever it is used: what real servers send is for the tests of the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

from msgspec.structs import replace

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    ClientSampled,
    Event,
    HostSampled,
    LevelEnded,
    ModelLoaded,
    RequestAdmitted,
    RequestFinished,
    RequestReached,
    RequestSent,
    RunStarted,
    ServerFound,
    ServerKnown,
    ServerLost,
    TokensBy,
    TokensCounted,
    TokensEmitted,
)
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

URLS = ("http://127.0.0.1:8080",)
TWO = ("http://one.example:8000", "https://two.example:8443")
MS = SECOND // 1000

SERVED = RunConfig(
    model="", engine="server", urls=URLS, concurrency=(2, 8), requests=24, gen_toks=60
)


def served(**changes: Any) -> RunConfig:
    """The usual run with other settings."""
    return replace(SERVED, **changes)


def known(server: int, url: str, by: TokensBy = "usage") -> ServerKnown:
    return ServerKnown(
        time=MS, server=server, url=url, name="llama.cpp", version="b11549", model="tiny",
        context=2048, tokens_by=by, sent='{"model":"tiny","temperature":0,"max_tokens":60}',
    )  # fmt: skip


def served_events(
    config: RunConfig = SERVED,
    *,
    by: TokensBy = "usage",
    counted: bool = True,
    short_every: int = 0,
    resend_every: int = 0,
    reasoning: int = 0,
    late: int = MS // 5,
    lag: int = MS // 10,
    lost: bool = False,
    behaviour: Script | None = None,
) -> list[Event]:
    """Every event; `late` and `lag` in ns, `reasoning` tokens of each request, every so many-th
    short or sent again."""
    told = _Told(config, by, counted, short_every, resend_every, reasoning, late, lag)
    events = list(told.all(script(replace(config, engine="scripted"), behaviour)))
    return [*_lost(events)] if lost else events


def weighed(events: Iterable[Event], size: int, device: int | None = None) -> list[Event]:
    """The same with a server of that many bytes, a byte more at each sample of the machine.

    `device`: bytes of accelerators, at every other sample.
    """
    sizes, devices = count(size), cycle([device, None])
    return [
        replace(event, server_bytes=next(sizes), server_device_bytes=next(devices))
        if isinstance(event, HostSampled)
        else event
        for event in events
    ]


def session_of(events: Iterable[Event]) -> Session:
    session = Session()
    for event in events:
        session.apply(event)
    return session


@dataclass
class _Told:
    config: RunConfig
    by: TokensBy
    counted: bool
    short_every: int
    resend_every: int
    reasoning: int
    late: int
    lag: int
    tokens: dict[int, int] = field(default_factory=dict)

    def all(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            yield from self.one(event)

    def one(self, event: Event) -> Iterator[Event]:
        match event:
            case RunStarted():
                yield replace(event, config=self.config)
            case ModelLoaded():
                yield from (known(i, url, self.by) for i, url in enumerate(self.config.urls))
                yield replace(
                    event, engine="server", weights="trained", device="server", dtype="unknown"
                )
            case LevelEnded():
                yield ClientSampled(event.time, 0, (self.lag,) * 20)
                yield replace(event, host_peak_bytes=None)
            case RequestAdmitted(time=time, request=request):
                server = request % len(self.config.urls)
                yield RequestSent(time + self.late, request, server, time)
                if self.resend_every and request % self.resend_every == 0:
                    yield RequestSent(time + self.late + MS, request, server, time, True)
                yield event
                yield RequestReached(time + self.late, request, "connected")
                yield RequestReached(time + self.late + 2 * MS, request, "status")
                yield RequestReached(time + self.late + 3 * MS, request, "event")
            case TokensEmitted(request=request):
                so_far = self.tokens[request] = self.tokens.get(request, 0) + event.count
                yield event
                if so_far == self.reasoning + 1:
                    yield RequestReached(event.time, request, "answer")
            case RequestFinished(request=request):
                yield from self.ending(event.time, request)
                yield event
            case _:
                yield event

    def ending(self, time: int, request: int) -> Iterator[Event]:
        yield RequestReached(time, request, "end")
        cut = 5 if self.short_every and request % self.short_every == 0 else 0
        yield TokensCounted(
            time=time,
            request=request,
            by=self.by if self.counted else "estimate",
            count=self.tokens[request] - cut if self.counted else None,
            prompt=130,
            cached=16 if self.counted else None,
            reasoning=self.reasoning if self.counted else None,
        )


def _lost(events: list[Event]) -> Iterator[Event]:
    """The first server is away for a while in the middle."""
    middle = events[len(events) // 2].time
    extra = [ServerLost(middle, 0, "connection refused"), ServerFound(middle + SECOND, 0)]
    yield from sorted([*events, *extra], key=lambda event: event.time)
