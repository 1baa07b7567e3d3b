"""The engine without a model: a whole run at once, whatever its arrivals."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

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


def test_a_trace_is_taken_at_its_times_whatever_else_is_running(tmp_path: Path) -> None:
    drawn = random.Random(1)
    times = sorted(round(drawn.uniform(0, 20_000)) for _ in range(1000))
    lines = [{"timestamp": at, "input_length": 40, "output_length": 9} for at in times]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(map(json.dumps, lines)))
    config = RunConfig(engine="scripted", prompts=str(trace), replayed=True, requests=1000)
    events = script(replace(config, concurrency=(256,)))
    queued = [e for e in events if isinstance(e, RequestQueued) and not e.warmup]
    due = [e.time for e in queued]
    admitted = {e.request: e.time for e in events if isinstance(e, RequestAdmitted)}
    for at, asked in zip(due, times, strict=True):
        assert (at - due[0]) / SECOND == pytest.approx((asked - times[0]) / 1000, abs=1e-6)
    assert max(admitted[e.request] - e.time for e in queued) == 0
