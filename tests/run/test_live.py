"""A live run with its real processes, on the scripted engine: what happens next, and if it dies."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from llamatop.engines.host import SCRIPTED_STEP
from llamatop.events.kinds import Tick
from llamatop.figures.levels import level_figures
from llamatop.predict.child import ask
from llamatop.predict.memory import Foretold, Prediction
from llamatop.reports.frontier import memory_end
from llamatop.run.engine import warm_engine
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.waiting import gone, until


class Run:
    """A live run that is pumped until something holds."""

    def __init__(self, prepare: Any = None, **config: object) -> None:
        full = {"engine": "scripted", "prompt_toks": 8, "gen_toks": 8, **config}
        self.live = LiveRun(RunConfig(**full), prepare=prepare)  # type: ignore[arg-type]
        self.pump = Pump(self.live, Session())
        self.live.start()

    @property
    def session(self) -> Session:
        return self.pump.session

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        until(lambda: (self.pump.step(), holds())[1], seconds)

    def engine(self) -> psutil.Process:
        assert self.live._engine is not None
        return psutil.Process(self.live._engine.pid)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(step: float = 0.002, **config: object) -> Run:
        monkeypatch.setenv(SCRIPTED_STEP, str(step))
        runs.append(Run(**config))
        return runs[-1]

    yield start
    for one in runs:
        one.live.close()


def test_levels_one_after_another(run: Callable[..., Run]) -> None:
    one = run(concurrency=(1, 3))
    one.until(lambda: one.live.ended)
    levels = list(one.session.levels.values())
    assert [level.outcome for level in levels] == ["ok", "ok"]
    assert [len(level.requests) for level in levels] == [8, 24]
    assert levels[0].ended and levels[0].ended <= levels[1].started
    assert all(request.tokens == 8 for level in levels for request in level.requests)
    assert one.session.ended and one.session.ended.outcome == "ok"
    assert one.session.warmed and one.session.warmed.resident_bytes
    assert not one.pump.source.drain(), "nothing comes after the last event"


def test_a_run_that_is_closed_ends_what_was_to_be_foretold_of_it(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    one = run(prepare=lambda config, now: ask("tests.predict.sleeper", str(path), Foretold))
    until(path.exists)
    child = psutil.Process(int(path.read_text()))
    one.live.close()
    until(lambda: gone(child))


def test_samples_of_the_machine_and_the_engine(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: any(sample.engine_bytes for sample in one.session.host))
    sample = one.session.host[-1]
    assert sample.total_bytes and sample.used_bytes and sample.cpu_percent


def test_stop_ends_with_what_was_measured(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    one.live.stop()
    one.until(lambda: one.live.ended)
    assert one.session.ended and one.session.ended.outcome == "stopped"
    assert one.session.level and one.session.level.outcome == "stopped"
    assert not one.session.active


def test_stop_before_anything_is_loaded(run: Callable[..., Run]) -> None:
    one = run()
    one.live.stop()
    one.until(lambda: one.live.ended)
    assert one.session.ended and one.session.ended.outcome == "stopped"


def test_more_at_once_is_a_new_level(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    one.live.resize(3)
    one.until(lambda: len(one.session.active) == 3)
    assert [level.concurrency for level in one.session.levels.values()] == [1, 3]
    assert [level.place for level in one.session.levels.values()] == [1, 1], "the plan goes on"
    assert one.session.levels[0].outcome == "ok"
    one.live.stop()
    one.until(lambda: one.live.ended)
    assert one.session.levels[1].outcome == "stopped"


def test_resizing_a_level_that_just_ended_leaves_no_loose_end(run: Callable[..., Run]) -> None:
    one = run(requests=1, gen_toks=1, prompt_toks=1)
    one.until(lambda: one.session.levels)
    one.live.resize(2)
    one.until(lambda: one.live.ended)
    assert all(level.outcome == "ok" for level in one.session.levels.values())


def test_a_level_that_is_changed_before_it_has_begun_comes_to_its_end(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamatop.run.engine._MAIN", "tests.run.broken_engine:main('late')")
    one = run(requests=2)
    one.until(lambda: one.live._running is not None)
    one.live.resize(3)
    one.until(lambda: one.live.ended)
    assert one.session.level and one.session.level.concurrency == 3
    assert {level.outcome for level in one.session.levels.values()} == {"ok"}


def test_a_level_that_is_stopped_before_it_has_begun_ends_by_itself(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamatop.run.engine._MAIN", "tests.run.broken_engine:main('late')")
    one = run(endless=True)
    one.until(lambda: one.live._running is not None)
    one.live.sweep((2,))
    one.until(lambda: one.live.ended)
    assert [level.outcome for level in one.session.levels.values()] == ["stopped", "ok"]


def test_what_comes_after_the_end_is_neither_kept_nor_behind(run: Callable[..., Run]) -> None:
    one = run(requests=1, gen_toks=1, prompt_toks=1)
    one.until(lambda: one.live.ended)
    assert one.live._probe is not None
    one.live._probe.inbox.append([Tick(1)])
    assert one.live.waiting
    assert list(one.live.drain()) == []
    assert not one.live.waiting


def test_a_sweep_takes_over(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    one.live.sweep((1, 2))
    one.until(lambda: one.live.ended)
    levels = list(one.session.levels.values())
    assert [level.outcome for level in levels] == ["stopped", "ok", "ok"]
    assert [len(level.requests) for level in levels[1:]] == [8, 16]
    assert [(level.place, level.places) for level in levels] == [(1, 1), (1, 2), (2, 2)]
    assert one.live.outcome == "ok"


def test_pause_holds_new_requests_back(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    one.live.pause(True)
    one.until(lambda: one.session.paused and not one.session.active)
    seen = len(one.session.requests)
    one.live.pause(False)
    one.until(lambda: len(one.session.requests) > seen)


def test_cancel(run: Callable[..., Run]) -> None:
    one = run(step=0.05, endless=True, gen_toks=1000)
    one.until(lambda: any(not request.warmup for request in one.session.active.values()))
    request = next(request for request in one.session.active.values() if not request.warmup)
    one.live.cancel(request.id)
    one.until(lambda: request.state == "cancelled")


def test_a_killed_engine_fails_its_level_and_the_next_one_runs(run: Callable[..., Run]) -> None:
    one = run(step=0.01, concurrency=(2, 1), requests=4, gen_toks=40)
    one.until(lambda: one.session.levels and one.session.levels[0].requests)
    one.engine().kill()
    one.until(lambda: one.live.ended)
    first, second = one.session.levels.values()
    assert (first.outcome, second.outcome) == ("failed", "ok")
    assert "SIGKILL" in first.error
    assert {request.state for request in first.requests} >= {"failed"}
    assert [request.state for request in second.requests] == ["done"] * 4
    assert one.live.outcome == "failed"


def test_the_kernels_kill_is_a_result_and_the_sweep_closes_in(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr("llamatop.run.engine.oom_kills", lambda: next(kills))
    one = run(step=0.02, until_oom=True, gen_toks=40)

    def kill_above_two() -> bool:
        level = one.session.level
        if level is not None and level.concurrency > 2 and level.requests and not level.ended:
            one.engine().kill()
            one.until(lambda: level.ended is not None)
        return one.live.ended

    one.until(kill_above_two)
    tried = [(level.concurrency, level.outcome) for level in one.session.levels.values()]
    assert tried == [(1, "ok"), (2, "ok"), (4, "oom"), (3, "oom")]
    end = memory_end(one.session)
    assert end is not None and (end.works, end.fails) == (2, 3)


def test_each_level_is_foretold_before_it_starts(run: Callable[..., Run]) -> None:
    def foretell(config: RunConfig, now: Callable[[], int]) -> Foretold:
        return Foretold([], lambda n, packed: Prediction(1000 * n, None, {"weights": 1000}))

    one = run(prepare=foretell, endless=True)
    one.until(lambda: one.session.token_bins)
    one.live.resize(3)
    one.until(lambda: len(one.session.levels) == 2)
    one.live.sweep((5,))
    one.until(lambda: one.live.ended)
    told = {level.concurrency: one.session.predicted[level.id].host_bytes
            for level in one.session.levels.values()}  # fmt: skip
    assert told == {1: 1000, 3: 3000, 5: 5000}


def test_an_engine_that_hangs_does_not_hold_up_the_end(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    os.kill(one.engine().pid, signal.SIGSTOP)
    one.live.stop()
    one.until(lambda: one.live.ended)
    assert one.session.level and one.session.level.outcome == "stopped"


def test_an_engine_that_was_warmed_up_before_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamatop.run.engine._MAIN", "tests.run.broken_engine:main('imports')")
    engine = warm_engine()
    live = LiveRun(RunConfig(engine="scripted", gen_toks=1), engine)
    pump = Pump(live, Session())
    live.start()
    assert live._engine is engine
    until(lambda: (pump.step(), live.ended)[1])
    live.close()
    assert pump.session.ended and pump.session.ended.outcome == "ok"


def test_the_children_end_with_their_parent(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    assert one.live._engine and one.live._probe
    children = [psutil.Process(child.pid) for child in (one.live._engine, one.live._probe)]
    for child in (one.live._engine, one.live._probe):
        assert child._process.stdin
        child._process.stdin.close()  # as the kernel does when the parent is gone
    until(lambda: all(gone(child) for child in children))


def test_a_level_ends_when_its_throughput_is_known(run: Callable[..., Run]) -> None:
    one = run(step=0.004, concurrency=(2,), until_ci=0.5, gen_toks=4)
    one.until(lambda: one.live.ended)
    (level,) = one.session.levels.values()
    assert (level.outcome, level.ended_by) == ("ok", "interval")
    assert level.planned is None
    assert {request.state for request in level.requests} == {"done"}, "none was cut off"
    steady = level_figures(one.session, level).steady
    assert steady is not None and steady.relative <= 0.5


def test_a_level_that_had_its_requests_or_its_time_says_so(run: Callable[..., Run]) -> None:
    one = run(requests=2)
    one.until(lambda: one.live.ended)
    assert one.session.levels[0].ended_by == "requests"
    late = run(step=0.01, requests=9999, max_time=0.3)
    late.until(lambda: late.live.ended)
    assert (late.session.levels[0].outcome, late.session.levels[0].ended_by) == ("ok", "time")


def test_what_has_arrived_and_is_not_drained_is_counted(run: Callable[..., Run]) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.active)
    until(lambda: one.live.waiting >= 3)
    waiting = one.live.waiting
    assert one.pump.behind is not None and one.pump.behind >= waiting
    assert one.pump.step() >= waiting
    one.live.close()
    assert one.live.waiting == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is a process's")
def test_a_later_engine_has_the_priority_of_the_first_whatever_the_screen_gave_up(
    run: Callable[..., Run],
) -> None:
    first = run().engine()

    def step_back_and_start() -> int:
        os.nice(5)
        engine = warm_engine()
        try:
            return psutil.Process(engine.pid).nice()
        finally:
            engine.kill()

    with ThreadPoolExecutor(1) as screen:
        assert screen.submit(step_back_and_start).result() == first.nice()


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("text", "boom"),
        ("sender", "boom"),
        ("level", "boom"),
        ("start", "boom"),
        ("end", "boom"),
        ("allocated", "boom"),
        ("garbage", "could not be read"),
    ],
)
def test_an_engine_in_which_something_breaks_is_lost_and_says_why(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, part: str, reason: str
) -> None:
    monkeypatch.setattr("llamatop.run.engine._MAIN", f"tests.run.broken_engine:main({part!r})")
    one = run(requests=2)
    one.until(lambda: one.live.ended)
    assert one.live.outcome == "failed"
    assert one.session.lost is not None and reason in one.session.lost.reason
    assert not one.session.active


def test_what_breaks_while_an_engine_is_read_ends_it_and_is_told(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run(endless=True)
    one.until(lambda: one.session.token_bins)
    monkeypatch.setattr("llamatop.run.children.read_events", _out_of_order)
    one.until(lambda: one.live.ended)
    assert one.session.lost is not None and "the pipe is out of order" in one.session.lost.reason
    assert not one.session.active


def _out_of_order(pipe: object) -> NoReturn:
    raise OSError("the pipe is out of order")


def test_where_memory_is_to_end_each_level_has_an_engine_of_its_own(
    run: Callable[..., Run],
) -> None:
    one = run(until_oom=True, concurrency=(1, 2))
    one.until(lambda: one.session.token_bins)
    first = one.engine()
    one.until(lambda: len(one.session.levels) == 2)
    second = one.engine()
    assert first.pid != second.pid and gone(first)
    assert one.session.levels[0].outcome == "ok" and one.session.levels[0].ended
    one.live.stop()
    one.until(lambda: one.live.ended)
    assert one.session.ended and one.session.ended.outcome == "stopped"
