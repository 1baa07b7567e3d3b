"""The engine without a model: a whole run at once, whatever its arrivals."""

from __future__ import annotations

import pytest

from llamatop.engines.base import Job
from llamatop.engines.scripted import ScriptedEngine, script
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import RequestAdmitted, RequestFinished, RequestQueued, RunEnded
from llamatop.settings.config import RunConfig


@pytest.mark.parametrize("rate", [0.01, 2.0, 200.0])
def test_an_open_loop_comes_to_its_end_on_a_clock_that_nobody_moves(rate: float) -> None:
    events = script(RunConfig(engine="scripted", concurrency=(2,), requests=20, rate=rate))
    queued = {e.request: e.time for e in events if isinstance(e, RequestQueued) and not e.warmup}
    assert len(queued) == 20
    assert set(queued) <= {e.request for e in events if isinstance(e, RequestFinished)}
    assert isinstance(events[-1], RunEnded)
    times = sorted(queued.values())
    assert (times[-1] - times[0]) / SECOND == pytest.approx(19 / rate, rel=0.8)


def test_a_request_of_an_idle_engine_is_admitted_when_it_arrives() -> None:
    events = script(RunConfig(engine="scripted", concurrency=(2,), requests=9, rate=0.001))
    queued = {e.request: e.time for e in events if isinstance(e, RequestQueued) and not e.warmup}
    admitted = {e.request: e.time for e in events if isinstance(e, RequestAdmitted)}
    assert all(admitted[request] == time for request, time in queued.items())


class TakenBack:
    """Work of one job that is taken back after three tokens."""

    stopping, concurrency, look_at = False, 1, None

    def __init__(self) -> None:
        self.jobs = [Job(0, 8, 40)]
        self.steps = 0
        self.dropped: list[Job] = []

    def take(self, wait: bool = True) -> Job | None:
        return self.jobs.pop() if self.jobs else None

    def emit_step(self, jobs: list[Job], tokens: list[int]) -> list[Job]:
        self.steps += len(jobs)
        return jobs if self.steps == 3 else []

    def drop(self, job: Job) -> None:
        self.dropped.append(job)


def test_a_request_that_was_taken_back_frees_its_slot_at_once() -> None:
    work = TakenBack()
    engine = ScriptedEngine(RunConfig(engine="scripted"), ManualClock())
    engine.serve(work)  # type: ignore[arg-type]
    assert (work.steps, work.dropped) == (3, [Job(0, 8, 40)])
