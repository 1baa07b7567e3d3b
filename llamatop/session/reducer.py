"""The one reducer: a session is what a stream of events adds up to.

It never reads a clock, a file or a device: its `now` is the latest time that it has seen. Two
streams with the same events give equal sessions; generated text stands outside that equality,
since a recording may have left it out. Rates and percentiles are for `figures`.
"""

from __future__ import annotations

import copy
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Literal, TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    AdmissionPaused,
    ClientSampled,
    DeviceAllocated,
    DeviceSampled,
    EndedBy,
    EngineLost,
    EngineTuned,
    EngineWarmed,
    Event,
    HostSampled,
    LevelEnded,
    LevelReported,
    LevelStarted,
    MachineMeasured,
    MemoryPredicted,
    MemoryUntold,
    ModelLoaded,
    ModelLoading,
    ModelRefused,
    ModelTraced,
    Outcome,
    PromptReused,
    RankSampled,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RequestReached,
    RequestSent,
    RunEnded,
    RunImported,
    RunStarted,
    ServerFound,
    ServerKnown,
    ServerLost,
    ServerPrinted,
    ServerReady,
    ServerStarted,
    Stage,
    TokensBy,
    TokensCounted,
    TokensEmitted,
    TokensSummed,
)
from llamatop.session import watched
from llamatop.session.thinning import due, thinned
from llamatop.session.watched import WATCH, Watched

BIN = SECOND // 10
"""Width in nanoseconds of the bins in which tokens are counted for histories."""

LAST_BIN = 10_000_000
"""Bins after this (eleven days) are not kept: a damaged time must not take the memory."""

STEPS = 4096
"""Parts at most in which tokens are counted whose own times are not known."""

OF_REQUESTS = (RequestFailed, RequestFinished, RequestSent)
"""Notable events that may be as many as there are requests."""

KEPT_CLIENT = 4096
"""Samples of the client that are kept with `keep`: the newest."""

SPREADS = 1024
"""So many ways in which tokens came, of at most so many emissions, are kept once for all requests
that share them."""

KEPT_TEXT = 4096
"""Characters of a request's text that are kept: the newest."""

_what = attrgetter("name", "version", "model", "context")
"""Of a server what it is, which may be another once it was lost."""

_MODEL_BYTES = attrgetter("model_bytes")
_USED_BYTES = attrgetter("used_bytes")
_RESERVED_BYTES = attrgetter("reserved_bytes")

E = TypeVar("E", bound=Event)

State = Literal["queued", "prefill", "decode", "done", "failed", "cancelled"]


@dataclass(slots=True)
class Served:
    """What is known of a request that went to a server; times in ns."""

    server: int
    due: int
    """When it could have been sent."""
    sent: int
    """When it was sent first."""
    resent: bool = False
    reached: dict[Stage, int] = field(default_factory=dict)
    by: TokensBy | None = None
    """How its tokens were counted; None: its stream has not ended."""
    counted: bool = False
    """Whether the server said how many tokens it generated."""
    prompt: int | None = None
    """Tokens of its prompt, as the server counts."""
    cached: int | None = None
    reasoning: int | None = None
    prefill: float | None = None
    """Seconds that the server computed its prompt, as that says."""


@dataclass(slots=True)
class Load:
    """What a server has got from the client: requests, warm-up only among those in flight."""

    flying: int = 0
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class Request:
    """One request's raw times (ns) and counts."""

    id: int
    level: int
    prompt_tokens: int | None
    max_tokens: int | None
    warmup: bool
    scheduled: int
    admitted: int | None = None
    ended: int | None = None
    state: State = "queued"
    error: str = ""
    tokens: int = 0
    """Output tokens so far."""
    times: array[int] = field(default_factory=lambda: array("q"))
    """When each emission arrived."""
    counts: array[int] = field(default_factory=lambda: array("i"))
    """Tokens of each emission; a total that a server tells at the end is spread over them."""
    served: Served | None = None
    """None: it was served in process."""
    reused: int | None = None
    """Tokens of its prompt that the engine had computed before; None: nobody told."""
    conversation: int | None = None
    """The request with which its conversation began."""
    turn: int | None = None
    """Which of that conversation it is, from 1."""
    summed: bool = False
    """Whether the last of `times` is of tokens whose own times are not known, the last of `counts`
    is 0 where their number is not known either."""
    text: str = field(default="", compare=False, repr=False)

    @property
    def active(self) -> bool:
        """Whether it is still waiting or running."""
        return self.ended is None

    @property
    def since(self) -> int:
        """When the last that is known of it was (ns): what is told of it later is no earlier."""
        if self.times:
            return self.times[-1]
        return self.scheduled if self.admitted is None else self.admitted

    @property
    def short(self) -> bool:
        """Whether it ended well with fewer tokens than asked, as a server counted them."""
        served = self.served
        counted = served is not None and served.counted and served.by != "estimate"
        asked = self.max_tokens
        return counted and self.state == "done" and asked is not None and self.tokens < asked


@dataclass(slots=True)
class Level:
    """One stretch of the run at one concurrency."""

    id: int
    concurrency: int
    planned: int | None
    """Measured requests asked for; None: until stopped."""
    started: int
    ended: int | None = None
    outcome: Outcome | None = None
    error: str = ""
    host_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    ended_by: EndedBy = ""
    enough_at: int | None = None
    """When its throughput was known as well as was asked for."""
    requests: list[Request] = field(default_factory=list)
    """Its measured requests, in the order of arrival."""
    forgotten: int = 0
    """Measured requests that are not in `requests`: see `Session.keep` and `Session.joined`."""
    failed: int = 0
    cancelled: int = 0
    """Measured requests that ended so, those that are forgotten too; since `joined`."""
    joined: int | None = None
    """When the recording joined it; None: it knows the whole level."""
    place: int = 0
    """Which level of the plan that ran then, from 1; 0: not known."""
    places: int = 0
    """How many levels that plan had."""
    rate: float | None = None
    """Arrivals a second, where each level had its own."""


@dataclass
class Session:
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

    def copy(self) -> Session:
        """A session that goes on by itself; what no event changes any more is shared."""
        flying = {id: _copied(request) for id, request in self.active.items()}
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

    def apply(self, event: Event) -> None:
        """Fold one event in. Events that refer to nothing known are ignored."""
        if event.time > self.now:
            self.now = event.time
        match event:
            case TokensEmitted():
                self._emit(event)
            case RequestQueued():
                self._queue(event)
            case RequestAdmitted():
                self._admit(event)
            case RequestFinished():
                request = self._close(event.request, event.time, "done")
                if request is not None and request.short:
                    self._tell(event)
            case PromptReused():
                if (request := self.active.get(event.request)) is not None:
                    request.reused = event.tokens
            case TokensSummed():
                self._sum(event)
            case RequestFailed():
                self._close(event.request, event.time, "failed", event.error)
                self._tell(event)
            case RequestCancelled():
                self._close(event.request, event.time, "cancelled")
            case HostSampled():
                self._sample(self.host, event, _MODEL_BYTES)
            case DeviceSampled():
                self._sample(self.devices.setdefault(event.device, []), event, _USED_BYTES)
            case DeviceAllocated():
                self._sample(self.allocated.setdefault(event.device, []), event, _RESERVED_BYTES)
            case RankSampled():
                self.ranks[event.rank] = event
            case LevelStarted():
                self._start_level(event)
            case LevelEnded():
                self._end_level(event)
            case EngineLost():
                self._lose(event)
            case AdmissionPaused():
                self.paused = event.paused
            case RequestSent() | RequestReached() | TokensCounted():
                self._serve(event)
            case ServerKnown() | ServerLost() | ServerFound() | ClientSampled():
                self._know(event)
            case _ if isinstance(event, WATCH):
                for told in watched.fold(self.watched, event):
                    self._tell(told)
            case _:
                self._note(event)

    def _serve(self, event: RequestSent | RequestReached | TokensCounted) -> None:
        """What a client tells of a request to a server."""
        request = self.active.get(event.request)
        if request is None:
            return
        if isinstance(event, RequestSent):
            if request.served is None:
                request.served = Served(event.server, event.due, event.time)
                self.loads.setdefault(event.server, Load()).flying += 1
            if event.again:
                request.served.resent = True
                self._tell(event)
            return
        served = request.served
        if served is None:
            return
        if isinstance(event, RequestReached):
            served.reached.setdefault(event.stage, event.time)
            return
        served.by, served.counted = event.by, event.count is not None
        served.prompt, served.cached = event.prompt, event.cached
        served.reasoning, served.prefill = event.reasoning, event.prefill
        request.reused = event.cached
        if event.count is not None and event.count > 0 and request.times:
            self._recount(request, event.count)

    def _recount(self, request: Request, total: int) -> None:
        """Spread a total over emissions that were counted provisionally; those left with no token
        were none. In an imported run they stay: its tool counts them as chunks."""
        if total == request.tokens:
            return
        parts = _shared(request.counts, total)
        for time, count, part in zip(request.times, request.counts, parts, strict=True):
            if time >= self.joined:
                self.count_bin(max(time, 0) // BIN, part - count)
        chunks = self.imported is not None
        pairs = zip(request.times, parts, strict=True)
        kept = [(time, part) for time, part in pairs if part or chunks]
        request.times = array("q", (time for time, _ in kept))
        request.counts = array("i", (part for _, part in kept))
        request.tokens = total

    def _know(self, event: ServerKnown | ServerLost | ServerFound | ClientSampled) -> None:
        """What a client tells of servers and of itself."""
        match event:
            case ServerKnown():
                before = self.servers.get(event.server)
                self.servers[event.server] = event
                if before is not None and _what(before) != _what(event):
                    self._tell(event)
            case ServerLost():
                self.away[event.server] = event
                self._tell(event)
            case ServerFound():
                if self.away.pop(event.server, None) is not None:
                    self._tell(event)
            case ClientSampled():
                self.client.append(event)
                if self.keep is not None and len(self.client) > KEPT_CLIENT:
                    del self.client[: KEPT_CLIENT // 2]

    def _sample(self, samples: list[E], event: E, amount: Callable[[E], int | None]) -> None:
        """One more sample; with `keep`, old ones get fewer, but none of a level's peaks is lost."""
        samples.append(event)
        if self.keep is not None and len(samples) > 1 and due(samples[-2].time, event.time):
            spans = ((level.started, level.ended) for level in self.levels.values())
            edges = sorted(time for span in spans for time in span if time is not None)
            samples[:] = thinned(samples, amount, edges)

    def _note(self, event: Event) -> None:
        """The facts of which only the latest counts."""
        match event:
            case RunStarted():
                self._begin(event)
            case ModelLoading():
                self.loading = event
            case ServerStarted():
                self.serving = event
                self._tell(event)
            case ServerPrinted():
                self.printed = event
            case ServerReady():
                self.ready = event
                self._tell(event)
            case ModelLoaded():
                self.model = event
                self.lost = None
                self._tell(event)
            case ModelRefused():
                self.refused = event.error
                self._tell(event)
            case RunImported():
                self.imported = event
                self._tell(event)
            case LevelReported():
                self.reported[event.level] = event
            case EngineWarmed():
                self.warmed = event
            case EngineTuned():
                self.tuned = event
                self._tell(event)
            case MachineMeasured():
                self.machine = event
            case ModelTraced():
                self.traced = event
            case MemoryPredicted():
                self.predicted[event.level] = event
            case MemoryUntold():
                self.unforetold = event
                self._tell(event)
            case RunEnded():
                self.ended = event
                self._tell(event)

    def _tell(self, event: Event) -> None:
        """Remember what a person should be told of."""
        self.notable.append(event)
        if self.keep is not None and len(self.notable) > max(self.keep, 2):
            self._forget_told()

    def _forget_told(self) -> None:
        """Drop what requests met in the older half, or all of it where that frees too little."""
        half = len(self.notable) // 2
        kept = [e for e in self.notable[:half] if not isinstance(e, OF_REQUESTS)]
        if len(kept) > half // 2:
            kept = []
        self.untold += half - len(kept)
        self.notable[:half] = kept

    def _begin(self, event: RunStarted) -> None:
        self.started = event
        if event.joined:
            self.joined = event.joined
            self.now = max(self.now, event.joined)
            self._tell(event)

    def _queue(self, event: RequestQueued) -> None:
        request = Request(
            event.request,
            event.level,
            event.prompt_tokens,
            event.max_tokens,
            event.warmup,
            scheduled=event.time,
            conversation=event.conversation,
            turn=event.turn,
        )
        self.requests[request.id] = self.active[request.id] = request
        if not request.warmup and (level := self.levels.get(request.level)):
            level.requests.append(request)

    def _admit(self, event: RequestAdmitted) -> None:
        request = self.active.get(event.request)
        if request is None or event.time < request.since:
            return
        request.admitted = event.time
        request.state = "prefill"
        if event.level != request.level:
            self._move(request, event.level)

    def _move(self, request: Request, to: int) -> None:
        """A request belongs to the level that admitted it."""
        old, new = self.levels.get(request.level), self.levels.get(to)
        if new is None:
            return
        if not request.warmup:
            if old is not None and request in old.requests:
                old.requests.remove(request)
            new.requests.append(request)
        request.level = to

    def _emit(self, event: TokensEmitted) -> None:
        """Called for every token of a run: it does with the fewest steps what `emit_all` does."""
        request, count, time = self.active.get(event.request), event.count, event.time
        if request is None or count < 1:
            return
        times = request.times
        if time < (times[-1] if times else request.since):
            return
        request.state = "decode"
        request.tokens += count
        times.append(time)
        request.counts.append(count)
        if text := event.text:
            text = request.text + text
            request.text = text if len(text) <= KEPT_TEXT else text[-KEPT_TEXT:]
        if time >= self.joined:
            place = time // BIN if time > 0 else 0
            if place < len(self.token_bins):
                self.token_bins[place] += count
            else:
                self.count_bin(place, count)

    def _sum(self, event: TokensSummed) -> None:
        """The rest at once; in `token_bins` it is spread evenly over the time that it took."""
        request, count = self.active.get(event.request), event.count or 0
        if request is None or count < 0 or request.summed or event.time < request.since:
            return
        begin = request.since
        request.state, request.summed = "decode", True
        request.tokens += count
        request.times.append(event.time)
        request.counts.append(count)
        steps = min(count, STEPS)
        for step in range(steps):
            at = begin + (event.time - begin) * (step + 1) // steps
            if at >= self.joined:
                part = count * (step + 1) // steps - count * step // steps
                self.count_bin(max(at, 0) // BIN, part)

    def emit_all(self, id: int, times: array[int], counts: array[int], text: str | None) -> bool:
        """What applying so many `TokensEmitted` of one request does (ns, ascending, at least a
        token each).

        All but counting them in `token_bins`: if True is the answer, that is due, see `count_bin`.
        They are the bulk of a long recording, and need not be objects.
        """
        request = self.active.get(id)
        if request is None or times[0] < request.since:
            return False
        request.state = "decode"
        request.tokens += sum(counts)
        request.times += times
        request.counts += counts
        if text:
            request.text = (request.text + text)[-KEPT_TEXT:]
        return True

    def count_bin(self, place: int, count: int) -> None:
        """Count tokens of the run's bin at `place`."""
        if place > LAST_BIN:
            return
        bins = self.token_bins
        if place >= len(bins):
            bins.extend([0] * (place + 1 - len(bins)))
        bins[place] += count

    def _close(self, id: int, time: int, state: State, error: str = "") -> Request | None:
        request = self.active.pop(id, None)
        if request is not None:
            request.state = state
            request.ended = max(time, request.since)
            request.error = error
            self._shrink(request)
            self._count(request)
            self._unload(request)
            if self.keep is not None and len(self.requests) > self.keep:
                self._forget_oldest()
        return request

    def _shrink(self, request: Request) -> None:
        """What a request that has ended keeps takes no more room than it needs."""
        request.times = request.times[:]
        counts = request.counts[:]
        if len(counts) <= SPREADS:
            spread = counts.tobytes()
            if len(self.spreads) < SPREADS or spread in self.spreads:
                counts = self.spreads.setdefault(spread, counts)
        request.counts = counts
        if not self.texts:
            request.text = ""

    def _count(self, request: Request) -> None:
        """What did not complete is counted by its level."""
        level = self.levels.get(request.level)
        if level is not None and not request.warmup:
            level.failed += request.state == "failed"
            level.cancelled += request.state == "cancelled"

    def _unload(self, request: Request) -> None:
        """A server has one request less."""
        if request.served is None:
            return
        load = self.loads[request.served.server]
        load.flying -= 1
        if not request.warmup:
            load.done += request.state == "done"
            load.failed += request.state == "failed"

    def _forget_oldest(self) -> None:
        """Drop the oldest request that has ended, from its level too."""
        for oldest in self.requests.values():
            if not oldest.active:
                break
        else:
            return
        del self.requests[oldest.id]
        level = self.levels.get(oldest.level)
        if level is not None and not oldest.warmup and oldest in level.requests:
            level.requests.remove(oldest)
            level.forgotten += 1

    def _start_level(self, event: LevelStarted) -> None:
        level = Level(event.level, event.concurrency, event.requests, event.time)
        level.place, level.places, level.rate = event.place, event.places, event.rate
        if event.time < self.joined:
            level.joined, level.forgotten = self.joined, event.ended_before
        self.levels[event.level] = level
        self._tell(event)

    def _end_level(self, event: LevelEnded) -> None:
        if level := self.levels.get(event.level):
            level.ended = event.time
            level.outcome = event.outcome
            level.error = event.error
            level.host_peak_bytes = event.host_peak_bytes
            level.device_peak_bytes = event.device_peak_bytes
            level.ended_by = event.ended_by
            level.enough_at = event.enough_at
        self._tell(event)

    def _lose(self, event: EngineLost) -> None:
        """Whatever was in flight died with the engine."""
        self.lost = event
        self._tell(event)
        for id in list(self.active):
            self._close(id, event.time, "failed", event.reason)


def _shared(counts: array[int], total: int) -> list[int]:
    """A total shared in the proportions of `counts`; the first one and the last get a token."""
    before = sum(counts)
    head = int(total < before)  # fewer tokens than emissions: the first came with the first
    skipped = counts[0] if head else 0
    rest, parts, so_far, done = before - skipped, [], -skipped, 0
    for count in counts:
        so_far += count
        reached = head + (total - head) * so_far // rest if rest else total
        parts.append(reached - done)
        done = reached
    return parts


def _copied(request: Request) -> Request:
    served = request.served
    if served is not None:
        served = replace(served, reached=served.reached.copy())
    return replace(request, times=request.times[:], counts=request.counts[:], served=served)
