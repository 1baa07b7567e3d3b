"""The one reducer: a session is what a stream of events adds up to.

It never reads a clock, a file or a device: its `now` is the latest time that it has seen. Two
streams with the same events give equal sessions; generated text stands outside that equality,
since a recording may have left it out. Rates and percentiles are for `figures`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from operator import attrgetter
from typing import TypeVar

from llamatop.events.kinds import (
    AdmissionPaused,
    ClientSampled,
    DeviceAllocated,
    DeviceSampled,
    EngineCompiled,
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
    TokensCounted,
    TokensEmitted,
    TokensSummed,
)
from llamatop.session import watched
from llamatop.session.known import BIN, Known
from llamatop.session.requests import KEPT_TEXT, Level, Load, Request, Served, State
from llamatop.session.thinning import due, thinned
from llamatop.session.watched import WATCH

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

_what = attrgetter("name", "version", "model", "context")
"""Of a server what it is, which may be another once it was lost."""

_MODEL_BYTES = attrgetter("model_bytes")
_USED_BYTES = attrgetter("used_bytes")
_RESERVED_BYTES = attrgetter("reserved_bytes")

E = TypeVar("E", bound=Event)


class Session(Known):
    """What is known of a run, and how each event changes it."""

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
        if isinstance(event, RequestSent) and request.served is None:
            request.served = Served(event.server, event.due, event.time)
            self.loads.setdefault(event.server, Load()).flying += 1
        if request.served is None:
            return
        request.served.take(event)
        if isinstance(event, RequestSent) and event.again:
            self._tell(event)
        if isinstance(event, TokensCounted):
            request.reused = event.cached
            if event.count and event.count > 0 and request.times:
                self._recount(request, event.count)

    def _recount(self, request: Request, total: int) -> None:
        """A total that the server told. An imported run's tool counts chunks: there none is left
        out."""
        for time, more in request.recount(total, chunks=self.imported is not None):
            if time >= self.joined:
                self.count_bin(max(time, 0) // BIN, more)

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
            case EngineCompiled():
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
        if request is None:
            return
        begin = request.since
        if not request.emit_rest(event.time, count):
            return
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
        return request is not None and request.emit_all(times, counts, text)

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
            request.end(time, state, error)
            self._shrink(request)
            level = self.levels.get(request.level)
            if level is not None and not request.warmup:
                level.count(request)
            if request.served is not None:
                self.loads[request.served.server].count(request)
            if self.keep is not None and len(self.requests) > self.keep:
                self._forget_oldest()
        return request

    def _shrink(self, request: Request) -> None:
        """What many requests that have ended have alike is kept once."""
        if len(request.counts) <= SPREADS:
            spread = request.counts.tobytes()
            if len(self.spreads) < SPREADS or spread in self.spreads:
                request.counts = self.spreads.setdefault(spread, request.counts)
        if not self.texts:
            request.text = ""

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
            level.end(event)
        self._tell(event)

    def _lose(self, event: EngineLost) -> None:
        """Whatever was in flight died with the engine."""
        self.lost = event
        self._tell(event)
        for id in list(self.active):
            self._close(id, event.time, "failed", event.reason)
