"""A level from its start to its end, on an engine that takes a second for each request."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import pytest

from llamatop.engines.base import GivenSize, WorkLike
from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.work import Plan
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import LevelEnded, LevelStarted
from llamatop.events.wire import RunLevel
from llamatop.figures.dialects import figures
from llamatop.figures.levels import level_figures
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

TURN = SECOND // 1000
"""How often an idle engine looks for work (ns)."""


class OneAtATime:
    """Serves one request after another, a second each: its capacity is one a second."""

    def __init__(self, clock: ManualClock) -> None:
        self.given: list[GivenSize] = []
        self._clock = clock

    def serve(self, work: WorkLike) -> None:
        while True:
            job = work.take(wait=False)
            if job is not None:
                self._clock.time += SECOND
                work.emit(job, [1])
                work.finish(job)
            elif work.stopping or work.left == 0:  # type: ignore[attr-defined]
                return
            else:
                self._clock.time += TURN

    def reset_peaks(self) -> None:
        pass

    followers = ()

    def device_peak(self) -> int | None:
        return None


def served(rate: float, requests: int = 60) -> Session:
    """An open loop of so many arrivals a second."""
    clock, outbox = ManualClock(), Outbox()
    config = RunConfig(engine="scripted", rate=rate, requests=requests, gen_toks=1)
    engine = OneAtATime(clock)
    LevelRun(engine, config, RunLevel(0, 1, requests, 0), clock, outbox).run(  # type: ignore[arg-type]
        first=False
    )
    return fold(outbox.drain())


@pytest.mark.parametrize("rate", [0.2, 0.9, 2.0, 5.0])
def test_a_queue_shows_in_the_latency_of_an_open_loop(rate: float) -> None:
    """Lindley's recursion: each begins when it has arrived and the one before it is done."""
    (level,) = served(rate).levels.values()
    done = 0
    for request in level.requests:
        done = max(done, request.scheduled) + SECOND
        assert request.times[0] == pytest.approx(done, abs=TURN + 1)
        done = request.times[0]


def test_beyond_its_capacity_latency_grows_with_every_request() -> None:
    session = served(rate=2.0)
    (level,) = session.levels.values()
    waits = [request.times[0] - request.scheduled for request in level.requests]
    thirds = [sum(waits[at : at + 20]) / 20 for at in (0, 20, 40)]
    assert all(later > sooner + 5 * SECOND for sooner, later in pairwise(thirds))
    found = level_figures(session, level)
    assert found.ttft and found.queue
    assert found.ttft.mean == pytest.approx(found.queue.mean + 1, rel=1e-6)
    (vllm,) = figures(session, "vllm")
    assert vllm.latencies["ttft"] and vllm.latencies["ttft"].p99 == 1.0, "who counts from sending"
    assert found.output_rate == pytest.approx(1.0, rel=0.05), "the capacity, not the rate"


def test_within_its_capacity_latency_does_not_grow() -> None:
    (level,) = served(rate=0.2).levels.values()
    waits = sorted(request.times[0] - request.scheduled for request in level.requests)
    assert waits[len(waits) // 2] <= SECOND + TURN


def test_arrivals_are_poissons() -> None:
    """Exponential gaps: their mean is 1 / rate and so is their standard deviation; seeded."""
    sessions = [served(rate=4.0, requests=400) for _ in range(2)]
    ((one,), (again,)) = ([*session.levels.values()] for session in sessions)
    times = [request.scheduled / SECOND for request in one.requests]
    gaps = [later - sooner for sooner, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.25, rel=0.15)
    assert deviation == pytest.approx(mean, rel=0.2)
    assert [r.scheduled for r in again.requests] == [r.scheduled for r in one.requests]


def level_of(clock: ManualClock, outbox: Outbox, engine: object, **config: object) -> LevelRun:
    full = RunConfig(engine="scripted", gen_toks=1, **config)  # type: ignore[arg-type]
    return LevelRun(engine, full, RunLevel(0, 1, 2, 0), clock, outbox)  # type: ignore[arg-type]


def test_a_change_before_a_level_has_begun_is_where_it_begins() -> None:
    clock, outbox = ManualClock(), Outbox()
    run = level_of(clock, outbox, OneAtATime(clock))
    run.resize(3)
    run.run(first=False)
    events = outbox.drain()
    started = [(e.level, e.concurrency) for e in events if isinstance(e, LevelStarted)]
    assert started == [(0, 3)]
    assert [(e.level, e.outcome) for e in events if isinstance(e, LevelEnded)] == [(0, "ok")]
    assert len(fold(events).levels[0].requests) == 2


def test_a_stop_before_a_level_has_begun_ends_it() -> None:
    clock, outbox = ManualClock(), Outbox()
    run = level_of(clock, outbox, OneAtATime(clock))
    run.stop()
    run.run(first=False)
    (level,) = fold(outbox.drain()).levels.values()
    assert level.outcome == "stopped" and not level.requests


class Interrupting(OneAtATime):
    """Has something done by another thread at the moment when the measured work is made."""

    def __init__(self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(clock)
        self.do: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._do)
        patched = LevelRun._measured

        def measured(run: LevelRun) -> Plan:
            plan = patched(run)
            self._thread.start()
            self._thread.join(0.2)  # it is done, or waits until the work is in its place
            return plan

        monkeypatch.setattr(LevelRun, "_measured", measured)

    def _do(self) -> None:
        assert self.do is not None
        self.do()

    def serve(self, work: WorkLike) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        super().serve(work)


def test_a_change_while_the_work_is_made_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, outbox = ManualClock(), Outbox()
    engine = Interrupting(clock, monkeypatch)
    run = level_of(clock, outbox, engine)
    engine.do = lambda: run.resize(3)
    run.run(first=False)
    (level,) = fold(outbox.drain()).levels.values()
    assert (level.concurrency, level.outcome, len(level.requests)) == (3, "ok", 2)


class Waves(OneAtATime):
    """Serves whole waves, a second each, and does something while one is served."""

    def __init__(self, clock: ManualClock, *between: Callable[[], None]) -> None:
        super().__init__(clock)
        self._between = deque(between)

    def serve(self, work: WorkLike) -> None:
        while jobs := work.take_wave():
            if self._between and not jobs[0].warmup:
                self._between.popleft()()
            self._clock.time += SECOND
            for job in jobs:
                work.emit(job, [1])
                work.finish(job)


def test_presses_add_up_to_one_level_which_the_engine_opens() -> None:
    """Waves of 1, while which 2, 3 and 4 are asked for, then of 4; back at once is no change."""
    clock, outbox = ManualClock(), Outbox()

    def press(*wanted: int) -> Callable[[], None]:
        def pressed() -> None:
            for one in wanted:
                run.resize(one)

        return pressed

    engine = Waves(clock, press(2, 3, 4), press(5, 4), press(3))
    full = RunConfig(engine="scripted", gen_toks=1)
    run = LevelRun(engine, full, RunLevel(7, 1, 14, 0), clock, outbox)  # type: ignore[arg-type]
    run.run(first=False)
    events = outbox.drain()
    session = fold(events)
    levels = [(one.id, one.concurrency, len(one.requests)) for one in session.levels.values()]
    assert levels == [(7, 1, 1), (8, 4, 8), (9, 3, 5)]
    assert [one.ended_by for one in session.levels.values()][:2] == ["concurrency"] * 2
    for before, after in pairwise(session.levels.values()):
        assert before.ended == after.started == after.requests[0].scheduled


def test_a_change_while_it_warms_up_leaves_no_level_without_a_request() -> None:
    clock, outbox = ManualClock(), Outbox()

    class Changing(Waves):
        def serve(self, work: WorkLike) -> None:
            if work.plan.warmup:  # type: ignore[attr-defined]
                run.resize(3)
            super().serve(work)

    full = RunConfig(engine="scripted", gen_toks=1)
    run = LevelRun(Changing(clock), full, RunLevel(0, 1, 6, 0), clock, outbox)  # type: ignore[arg-type]
    run.run(first=False)
    (level,) = fold(outbox.drain()).levels.values()
    assert (level.concurrency, len(level.requests), level.outcome) == (3, 6, "ok")


def test_a_stop_while_the_work_is_made_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, outbox = ManualClock(), Outbox()
    engine = Interrupting(clock, monkeypatch)
    run = level_of(clock, outbox, engine)
    engine.do = run.stop
    run.run(first=False)
    (level,) = fold(outbox.drain()).levels.values()
    assert level.outcome == "stopped" and not level.requests
