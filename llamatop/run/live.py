"""A live run as a source of events: engine and probe at its head, one level after another.

Servers that it drives it watches too (`watch`): what they tell comes in the same stream. Decides
what happens next (load, level, recovery, end) from the events themselves; knows nothing of how they
are shown or kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llamatop import __version__
from llamatop.events import wire
from llamatop.events.clock import SECOND, Clock, MonotonicClock
from llamatop.events.kinds import (
    EngineLost,
    Event,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    ModelRefused,
    Outcome,
    RequestQueued,
    RunEnded,
    RunStarted,
    ServerReady,
    ServerStarted,
    Tick,
    TokensEmitted,
)
from llamatop.events.wire import Cancel, Pause, Quiet, Resize, RunLevel, Stop, Watch
from llamatop.run.children import Child
from llamatop.run.course import Course
from llamatop.run.engine import Ends, start_engine
from llamatop.run.foretelling import Foretelling, Prepare
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import ports_here, sent_headers

if TYPE_CHECKING:
    from llamatop.run.serving import Serving
    from llamatop.watch.lookout import Lookout

PATIENCE = SECOND // 2
"""How long (ns) an engine that was asked to stop may take before it is ended."""

SAMPLE_SECONDS = 0.5
"""How often the probe samples."""


def _lookout(config: RunConfig, clock: Clock) -> Lookout | None:
    """What watches the servers that the run drives, with what is sent to them."""
    if not config.urls:
        return None
    from llamatop.watch.lookout import Lookout  # noqa: PLC0415  (where there are servers)

    if config.serve is not None:  # it is ours: no key is meant for it
        return Lookout(config, clock)
    headers = sent_headers(config.api_key_env, config.headers, os.environ)
    return Lookout(config, clock, dict.fromkeys(config.urls, headers))


def _serving(config: RunConfig) -> Serving | None:
    """The server that the run starts; InputError where it cannot be."""
    if config.serve is None:
        return None
    from llamatop.run.serving import Serving  # noqa: PLC0415  (where one is started)

    return Serving(config)


class LiveRun:
    """Runs a config; a `pump.Source`. All of it belongs to the thread that drains it."""

    _packed = False
    """Whether the matrices of the model that was loaded are."""
    _owed: Outcome | None = None
    """How it ended, as long as the last look at its servers is waited for."""

    def __init__(
        self,
        config: RunConfig,
        engine: Child | None = None,
        prepare: Prepare | None = None,
        *,
        waits: bool = False,
    ) -> None:
        """`engine`: a process that is warm already (see `warm_engine`).

        One that `waits` begins no level by itself and does not end after its last: see `again`.
        Raises InputError where the server that the run is to start cannot be started so.

        `prepare` foretells the run. It is called in a thread while the model loads, and the first
        level waits for it: nothing else runs while something is measured.
        """
        self._serving = _serving(config)
        config = self._serving.config if self._serving is not None else config
        self._course = Course(config)
        self._warm = engine
        self._waits = waits
        self.ready = False
        """Whether the model is there, and what was to be foretold of it."""
        self.clock = MonotonicClock()
        prepare = self._serving.prepare if self._serving is not None else prepare
        self._foretelling = Foretelling(config, prepare, self.clock)
        self._finished = False
        self._lookout = _lookout(config, self.clock)
        self._own: list[Event] = []
        self._engine: Child | None = None
        self._probe: Child | None = None
        self._levels = 0
        """Levels begun, by plan or by hand."""
        self._running: int | None = None
        self._next_request = 0
        self._loaded_at: int | None = None
        """When a model came that has no level yet (ns)."""
        self._fresh: bool | None = None
        """Whether no level has run in the engine; None: levels share one."""
        self._stopping_since: int | None = None
        self._outcome: Outcome = "ok"
        self._ends = Ends()

    # Source

    def start(self) -> None:
        """Begin: the first event, the children. Returns at once."""
        from llamatop.hardware.host import host_facts  # noqa: PLC0415  (not for the first paint)

        self._own.append(
            RunStarted(
                self.clock.now(),
                self.config,
                host_facts(),
                __version__,
                datetime.now(UTC).isoformat(timespec="seconds"),
                self.clock.origin,
            )
        )
        self._foretelling.start()
        self._probe = Child(f"llamatop.hardware.probe:main({self.clock.origin}, {SAMPLE_SECONDS})")
        if self._serving is not None:
            self._serve(self._serving)
            return
        if self._lookout is not None:
            self._lookout.start()
        self._launch()

    def drain(self) -> Sequence[Event]:
        """What has arrived, ending with a tick; decides what comes next on the way."""
        if self._finished:
            self._drop_rest()
            return [*self._take_own(), *self._last_look()]
        events = self._take_own()
        for child in (self._engine, self._probe):
            while child is not None and child.inbox:
                events += child.inbox.popleft()
        if self._serving is not None and not self.ready:
            events = self._serving.explain(events)
        self._course.hear(events)
        for event in events:
            if not isinstance(event, TokensEmitted):  # which are nearly all, and change nothing
                self._follow(event)
        self._look_after_server()
        self._look_after_engine()
        self._look_after_foretelling()
        if self._lookout is not None:
            events += self._lookout.drain()
        events += self._take_own()
        if not self._finished:
            events.append(Tick(self.clock.now()))
        return events

    @property
    def config(self) -> RunConfig:
        """What is run now: a sweep that a person asked for takes the place of the plan."""
        return self._course.config

    @property
    def waiting(self) -> int:
        """Events of the children and of the servers that have arrived since the last drain."""
        heads = (self._engine, self._probe, self._lookout)
        return sum(head.waiting for head in heads if head is not None)

    @property
    def ended(self) -> bool:
        """Whether the run is over and its last event has been drained."""
        return self._finished and self._owed is None and not self._own

    @property
    def outcome(self) -> Outcome:
        """How the run as a whole has gone so far."""
        if self._stopping_since is not None:
            return "stopped"
        return self._outcome if self._outcome != "ok" else self._course.worst

    # What a person may ask

    def resize(self, concurrency: int) -> None:
        """Another number of requests in flight, as a new level."""
        if self._engine is not None and self._running is not None:
            self._engine.tell(Resize(concurrency))

    def pause(self, paused: bool) -> None:
        """Hold new requests back, or let them go on."""
        if self._engine is not None:
            self._engine.tell(Pause(paused))

    def cancel(self, request: int) -> None:
        """Take one request back."""
        if self._engine is not None:
            self._engine.tell(Cancel(request))

    def sweep(self, levels: tuple[int, ...]) -> None:
        """End the level that runs, and run these, one after another, to their ends."""
        if self._engine is None or self._stopping_since is not None or self._finished:
            return
        self._course.ask(levels)
        if self._running is not None:
            self._engine.tell(Stop())

    @property
    def idle(self) -> bool:
        """Whether no level runs, nor is about to."""
        return self.ready and self._running is None

    def again(self) -> None:
        """The plan once more, of a run that waits."""
        self._course.anew(self.config)
        self._next_level()

    def finish(self) -> None:
        """All is done, of a run that waits: its last event follows."""
        if not self._finished:
            self._finish()

    def stop(self) -> None:
        """End the run soon, whatever it is doing; what was measured stays."""
        if self._stopping_since is not None or self._finished:
            return
        self._stopping_since = self.clock.now()
        if self._engine is not None and self._running is not None:
            self._engine.tell(Stop())
        else:
            self._finish()

    def close(self) -> None:
        """End the children now. The run's last event, where it is still owed, is not made up."""
        self._foretelling.take_back()
        if self._serving is not None:
            self._end_server(self._serving)
        for child in (self._warm, self._engine, self._probe):
            if child is not None:
                self._ends.kill(child)
        self._warm = self._engine = self._probe = None
        if self._lookout is not None:
            self._lookout.close()
        if self._serving is not None:
            self._serving.wait()

    @property
    def printed(self) -> list[str]:
        """What the libraries of engines that have ended printed."""
        return self._ends.printed

    @property
    def server_printed(self) -> list[str]:
        """The last lines of the server that this run started."""
        return self._serving.last_lines if self._serving is not None else []

    # What happens next

    def _launch(self) -> None:
        self._engine, self._warm = self._warm or start_engine(), None
        serving = self._serving
        config = serving.for_client if serving is not None else self.config
        self._engine.tell(wire.Load(config, self.clock.origin))
        if not self._foretelling.asking:
            self._engine.tell(Quiet())
        self._watch(self._engine.pid)

    def _watch(self, engine: int | None) -> None:
        server = self._serving.pid if self._serving is not None else None
        if self._probe is not None:
            self._probe.tell(
                Watch(engine, ports_here(self.config.urls), self.config.tp > 1, server)
            )

    def _serve(self, serving: Serving) -> None:
        """Start the server; the engine process, its client, follows when it is ready."""
        serving.start(self.clock.now())
        self._own.append(ServerStarted(self.clock.now(), serving.plan.shown))
        self._watch(None)

    def _look_after_server(self) -> None:
        """A server of ours that is ready, or lost: another one would not go another way."""
        serving = self._serving
        if serving is None or self._finished:
            return
        news = serving.look(self.clock.now())
        self._own += news
        for event in news:
            match event:
                case ServerReady():
                    if self._lookout is not None:
                        self._lookout.start()
                    self._launch()
                case ModelRefused():
                    self._follow(event)
                case EngineLost():
                    self._server_lost(event)

    def _server_lost(self, lost: EngineLost) -> None:
        outcome: Outcome = "oom" if "out of memory" in lost.reason else "failed"
        if self._running is None:
            self._outcome = outcome
        self._end_level(outcome, lost.reason)
        self._finish()

    def _end_server(self, serving: Serving) -> None:
        """With patience, where the run came to its end by itself."""
        hurried = self._stopping_since is not None or not self._finished
        serving.ask_to_end(hurried)

    def _follow(self, event: Event) -> None:
        match event:
            case ModelLoaded():
                self._loaded_at = self.clock.now()
                self._packed = event.layout == "packed"
                limited = self.config.until_oom and event.memory_limit is not None
                self._fresh = True if limited else None
            case ModelRefused():
                self._outcome = "failed"
                self._finish()
            case RequestQueued():
                self._next_request = max(self._next_request, event.request + 1)
            case LevelStarted():
                self._running, self._levels = event.level, max(self._levels, event.level + 1)
                self._own += self._foretelling.level(event.level, event.concurrency, self._packed)
            case LevelEnded() if event.level == self._running and event.ended_by != "concurrency":
                self._course.end(event.level, event.outcome)
                self._running = None
                self._course.turn()
                self._next_level()

    def _look_after_foretelling(self) -> None:
        """The next level begins when the model is there and nothing else runs any more; or when
        what is to be foretold takes long, which then serves the levels after it."""
        asking = self._foretelling.asking
        self._own += self._foretelling.look(self._loaded_at)
        if asking and not self._foretelling.asking and self._engine is not None:
            self._engine.tell(Quiet())
        if self._loaded_at is not None and self._foretelling.settled:
            self._loaded_at, self.ready = None, True
            if not self._waits:
                self._next_level()
        if self._levels:
            self._own += self._foretelling.take_untold()

    def _next_level(self) -> None:
        concurrency = self._planned()
        if concurrency is None:
            if not self._waits or self._stopping_since is not None:
                self._finish()
        elif self._engine is not None and self._fresh is False:
            self._renew(self._engine)
        elif self._engine is not None:
            self._fresh = self._fresh and False
            self._course.begin(concurrency)
            level = self._begin_level(concurrency)
            requests, first = self.config.requests_at(concurrency), self._next_request
            place, places = len(self._course.tried) + 1, len(self.config.concurrency)
            self._engine.tell(
                RunLevel(level, concurrency, requests, first, place, places, self._course.rate)
            )

    def _renew(self, engine: Child) -> None:
        """A new engine for the next level, whose memory is then its own: what an earlier one left,
        as holes between blocks and kernels that were made, would end it sooner."""
        self._ends.kill(engine)
        self._launch()

    def _begin_level(self, concurrency: int) -> int:
        """The number of a level that is about to start, whose peak is told before it does."""
        level = self._running = self._levels
        self._levels += 1
        self._own += self._foretelling.level(level, concurrency, self._packed)
        return level

    def _planned(self) -> int | None:
        """Requests in flight of the next level, where there is one."""
        return None if self._stopping_since is not None else self._course.planned()

    def _look_after_engine(self) -> None:
        """An engine that is gone, or does not stop when asked."""
        engine, since = self._engine, self._stopping_since
        if engine is None or self._finished:
            return
        if engine.lost and not engine.inbox:
            self._engine = None
            self._engine_lost(engine)
        elif since is not None and self.clock.now() - since > PATIENCE:
            self._end_level("stopped", "")
            self._finish()

    def _engine_lost(self, engine: Child) -> None:
        outcome, reason = self._ends.why_lost(engine, self.config, self._running is None)
        self._own.append(EngineLost(self.clock.now(), engine.exit_code, reason))
        if self._running is None:  # it never came to a level: it would not another time
            self._outcome = outcome
            self._finish()
            return
        self._end_level(outcome, reason)
        if self._planned() is None:
            self._finish()
        else:
            self._launch()

    def _end_level(self, outcome: Outcome, error: str) -> None:
        """End a level that the engine itself can no longer end."""
        if self._running is not None:
            self._course.end(self._running, outcome)
            self._own.append(LevelEnded(self.clock.now(), self._running, outcome, error=error))
            self._running = None

    def _finish(self) -> None:
        """The last event, and the end of our server, follow the last look at it."""
        self._finished, self._owed = True, self.outcome
        since = self._stopping_since
        if self._lookout is not None and since is None:
            self._lookout.finish()
        elif self._lookout is not None and since is not None:
            self._lookout.finish(since + PATIENCE - self.clock.now())
        self._own += self._last_look()

    def _last_look(self) -> list[Event]:
        """What the servers tell at the end, then the run's last event."""
        if self._owed is None:
            return []
        over = self._lookout is None or self._lookout.over
        told = list(self._lookout.drain()) if self._lookout is not None else []
        if not over:
            return told
        told.append(RunEnded(self.clock.now(), self._owed))
        self._owed = None
        if self._serving is not None:
            self._end_server(self._serving)
        return told

    def _drop_rest(self) -> None:
        """What the children tell after the run's last event belongs to no run."""
        for child in (self._engine, self._probe):
            if child is not None:
                child.inbox.clear()

    def _take_own(self) -> list[Event]:
        events, self._own = self._own, []
        return events
