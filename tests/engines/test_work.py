"""The closed loop on a manual clock: who may start when, and what is told of it."""

import itertools
import threading

import pytest

from llamatop.engines.level import LevelRun
from llamatop.engines.outbox import Outbox
from llamatop.engines.sizes import alike
from llamatop.engines.work import Plan, Work
from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import (
    LevelEnded,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    TokensEmitted,
)
from llamatop.events.wire import RunLevel
from llamatop.figures.requests import ttft
from llamatop.figures.steady import LEAST_TO_STOP
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig


class Bench:
    """A work with its clock and what it told."""

    def __init__(self, concurrency: int = 2, requests: int | None = 4, **plan: object) -> None:
        self.clock, self.outbox = ManualClock(), Outbox()
        full = Plan(0, concurrency, requests, alike(8, 4), **plan)  # type: ignore[arg-type]
        self.work = Work(full, itertools.count(), self.clock, self.outbox)

    def told(self, kind: type) -> list:
        return [event for event in self.outbox.drain() if isinstance(event, kind)]


def test_no_more_than_the_concurrency_and_no_more_than_planned() -> None:
    bench = Bench(concurrency=2, requests=3)
    first, second = bench.work.take(), bench.work.take()
    assert first and second
    assert bench.work.take(wait=False) is None
    bench.work.finish(first)
    third = bench.work.take()
    assert third and third.id == 2
    assert bench.work.take() is None, "none is left, so nobody waits"


def test_scheduled_is_when_the_slot_came_free() -> None:
    bench = Bench(concurrency=1, requests=2)
    bench.clock.time = 5
    job = bench.work.take()
    assert job
    bench.clock.time = 100
    bench.work.finish(job)
    bench.clock.time = 140  # the engine dawdles
    bench.work.take()
    events = bench.outbox.drain()
    assert [e.time for e in events if isinstance(e, RequestQueued)] == [0, 100]
    assert [e.time for e in events if isinstance(e, RequestAdmitted)] == [5, 140]


def test_a_wave_is_scheduled_when_it_starts() -> None:
    bench = Bench(concurrency=2, requests=3)
    wave = bench.work.take_wave()
    assert [job.id for job in wave] == [0, 1]
    bench.clock.time = 10
    bench.work.finish(wave[0])
    bench.clock.time = 20
    bench.work.finish(wave[1])
    bench.clock.time = 30
    assert [job.id for job in bench.work.take_wave()] == [2]
    assert [event.time for event in bench.told(RequestQueued)] == [0, 0, 30]


def test_a_cancelled_job_no_longer_counts() -> None:
    bench = Bench()
    job, other = bench.work.take(), bench.work.take()
    assert job and other
    bench.work.cancel(job.id)
    assert not bench.work.emit(job, [1])
    assert bench.work.emit_step([job, other], [1, 2]) == [job]
    bench.work.finish(job)
    events = bench.outbox.drain()
    assert [e.request for e in events if isinstance(e, RequestCancelled)] == [job.id]
    assert [e.request for e in events if isinstance(e, TokensEmitted)] == [other.id]
    assert not [e for e in events if isinstance(e, RequestFinished)]
    assert bench.work.take(wait=False) is not None, "its slot is free"


def test_failures_say_why_and_free_the_slot() -> None:
    bench = Bench(concurrency=1)
    job = bench.work.take()
    assert job
    bench.work.fail(job, ValueError("boom"))
    assert bench.told(RequestFailed) == [RequestFailed(0, job.id, "ValueError: boom")]
    assert bench.work.take(wait=False)


def test_a_job_ends_once() -> None:
    bench = Bench(concurrency=1)
    job = bench.work.take()
    assert job
    bench.work.finish(job)
    bench.work.drop_rest()
    bench.work.fail_rest("x")
    assert bench.told(RequestFailed) == []


def test_what_was_cancelled_does_not_fail_as_well() -> None:
    bench = Bench(concurrency=1)
    job = bench.work.take()
    assert job
    bench.work.cancel(job.id)
    bench.work.fail(job, "boom")
    assert bench.told(RequestFailed) == []
    assert bench.work.take(wait=False), "its slot is free"


def test_a_worker_that_comes_late_tells_no_second_end() -> None:
    bench = Bench(concurrency=4)
    jobs = [bench.work.take() for _ in range(4)]
    bench.work.stop()
    bench.work.fail_rest("out of memory")
    finished, failed, dropped, _ = jobs
    assert finished and failed and dropped
    bench.work.finish(finished)
    bench.work.fail(failed, "boom")
    bench.work.drop(dropped)
    events = bench.outbox.drain()
    assert [e.error for e in events if isinstance(e, RequestFailed)] == ["out of memory"] * 4
    assert not [e for e in events if isinstance(e, RequestCancelled | RequestFinished)]


def test_time_runs_out() -> None:
    bench = Bench(requests=None, max_time=2.0)
    job = bench.work.take()
    assert job and not bench.work.stopping
    bench.clock.time = 2 * SECOND
    assert bench.work.stopping
    assert bench.work.take() is None
    assert not bench.work.emit(job, [1])


def test_more_or_fewer_at_once_from_now() -> None:
    bench = Bench(concurrency=1, requests=None)
    jobs = [bench.work.take()]
    bench.clock.time = 7
    bench.work.resize(3, lambda at: 1)
    jobs += [bench.work.take(wait=False), bench.work.take(wait=False)]
    assert all(jobs) and bench.work.take(wait=False) is None
    assert [event.level for event in bench.told(RequestAdmitted)] == [0, 1, 1]
    bench.work.resize(1, lambda at: 2)
    for job in jobs[:2]:
        bench.work.finish(job)  # type: ignore[arg-type]
        assert bench.work.take(wait=False) is None
    bench.work.finish(jobs[2])  # type: ignore[arg-type]
    assert bench.work.take(wait=False)


def test_pause_holds_back_and_what_waited_counts_from_then() -> None:
    bench = Bench(concurrency=1)
    bench.work.pause(True)
    assert bench.work.take(wait=False) is None
    bench.clock.time = 50
    bench.work.pause(False)
    assert bench.work.take(wait=False)
    assert [event.time for event in bench.told(RequestQueued)] == [50]


def test_stop_wakes_who_waits() -> None:
    bench = Bench(concurrency=1, requests=None)
    assert bench.work.take()
    got: list[object] = ["nothing yet"]
    waiter = threading.Thread(target=lambda: got.append(bench.work.take()))
    waiter.start()
    bench.work.stop()
    waiter.join(10)
    assert got[1:] == [None]


def test_tokens_of_one_emission_are_one_event() -> None:
    bench = Bench()
    job = bench.work.take()
    assert job
    bench.work.emit(job, [5, 6, 7])
    assert bench.told(TokensEmitted) == [TokensEmitted(0, job.id, 3)]


def test_an_open_loop_schedules_by_arrival() -> None:
    bench = Bench(concurrency=1, requests=3, arrivals=iter([1.0, 1.0, 1.0, 1.0]))
    assert bench.work.take(wait=False) is None, "nothing has arrived"
    bench.clock.time = 5 * SECOND
    job = bench.work.take(wait=False)
    assert job and bench.work.take(wait=False) is None, "the concurrency is the most at once"
    bench.work.finish(job)
    assert bench.work.take(wait=False)
    events = bench.outbox.drain()
    queued = [event.time for event in events if isinstance(event, RequestQueued)]
    admitted = [event.time for event in events if isinstance(event, RequestAdmitted)]
    assert queued == [SECOND, 2 * SECOND, 3 * SECOND]
    assert admitted == [5 * SECOND, 5 * SECOND]


def test_who_waits_in_an_open_loop_can_be_cancelled() -> None:
    bench = Bench(concurrency=1, requests=3, arrivals=iter([0.0, 0.0, 0.0, 0.0]))
    first = bench.work.take(wait=False)
    assert first
    bench.work.cancel(first.id + 1)
    bench.work.cancel(first.id + 1)
    bench.work.finish(first)
    last = bench.work.take(wait=False)
    assert last and last.id == first.id + 2
    bench.work.finish(last)
    assert bench.work.take() is None, "nobody waits for the one that was cancelled"
    assert bench.told(RequestCancelled) == [RequestCancelled(0, first.id + 1)]


def test_who_never_started_is_cancelled_at_the_end() -> None:
    bench = Bench(concurrency=1, requests=2, arrivals=iter([0.0, 0.0, 0.0]))
    assert bench.work.take(wait=False)
    bench.work.stop()
    bench.work.drop_rest()
    assert len(bench.told(RequestCancelled)) == 2


def served(bench: Bench, requests: int, seconds: float = 1.0) -> int:
    """Take and finish one job after another; how many there were."""
    for count in range(requests):
        job = bench.work.take(wait=False)
        if job is None:
            return count
        bench.clock.time += int(seconds * SECOND)
        bench.work.finish(job)
    return requests


def test_an_interval_that_is_narrow_enough_ends_it() -> None:
    bench = Bench(concurrency=1, requests=None, until_ci=0.05)
    assert served(bench, 100) == LEAST_TO_STOP
    assert bench.work.enough_at == LEAST_TO_STOP * SECOND
    assert bench.work.ended_by == "interval"
    assert bench.told(RequestCancelled) == []


def test_what_is_in_flight_goes_on_when_there_is_enough() -> None:
    bench = Bench(concurrency=2, requests=None, until_ci=0.05)
    first, second = bench.work.take(), bench.work.take()
    assert first and second
    while bench.work.enough_at is None:
        bench.clock.time += SECOND
        bench.work.finish(first)
        first, second = second, bench.work.take(wait=False) or second
    assert bench.work.take(wait=False) is None and not bench.work.stopping
    assert bench.work.emit(first, [1]), "it was told of as any other"
    bench.work.finish(first)
    assert bench.work.take() is None, "nobody waits for more"


def test_requests_and_time_end_it_too() -> None:
    bench = Bench(concurrency=1, requests=3, until_ci=0.05)
    assert served(bench, 100) == 3
    assert (bench.work.ended_by, bench.work.enough_at) == ("requests", None)
    bench = Bench(concurrency=1, requests=None, until_ci=0.05, max_time=5.0)
    assert served(bench, 100) == 5
    assert (bench.work.ended_by, bench.work.enough_at) == ("time", None)


def test_an_interval_is_not_looked_at_without_being_asked_for() -> None:
    bench = Bench(concurrency=1, requests=60)
    assert served(bench, 100) == 60
    assert bench.work.ended_by == "requests"


def test_whoever_changes_the_concurrency_decides_how_long_it_runs() -> None:
    bench = Bench(concurrency=1, requests=None, until_ci=0.05)
    bench.work.resize(1, None)
    assert served(bench, 100) == 100


def test_an_engine_that_stalls_cannot_hide_its_queue_from_an_open_loop() -> None:
    bench = Bench(concurrency=4, requests=4, arrivals=iter([1.0] * 5))
    bench.clock.time = 60 * SECOND  # it looks for work a minute late
    jobs = [bench.work.take(wait=False) for _ in range(4)]
    for job in jobs:
        assert job
        bench.work.emit(job, [1])
        bench.work.finish(job)
    session = fold(bench.outbox.drain())
    waited = [ttft(request) for request in session.requests.values()]
    assert waited == [59.0, 58.0, 57.0, 56.0], "from when each should have started"


@pytest.mark.parametrize(("concurrency", "failures"), [(1, 8), (2, 8), (4, 12)])
def test_work_without_an_end_gives_up_where_everything_fails(
    concurrency: int, failures: int
) -> None:
    bench = Bench(concurrency=concurrency, requests=None)
    count = 0
    while (job := bench.work.take(wait=False)) is not None:
        bench.work.fail(job, ValueError("boom"))
        count += 1
    assert count == failures
    assert bench.work.stopping
    assert f"{failures} requests in a row" in bench.work.gave_up
    assert bench.work.gave_up.endswith("ValueError: boom")


def test_a_token_between_failures_keeps_it_going() -> None:
    bench = Bench(concurrency=1, requests=None)
    for _ in range(50):
        job = bench.work.take(wait=False)
        assert job
        bench.work.emit_step([job], [1])
        bench.work.emit_step([], [])
        bench.work.fail(job, "boom")
    assert not bench.work.gave_up


def test_work_with_an_end_comes_to_it() -> None:
    bench = Bench(concurrency=1, requests=30)
    while (job := bench.work.take(wait=False)) is not None:
        bench.work.fail(job, "boom")
    assert len(bench.told(RequestFailed)) == 30 and not bench.work.gave_up
    assert bench.work.all_failed == "boom"


@pytest.mark.parametrize("otherwise", ["finish", "drop"])
def test_one_request_that_ends_otherwise_is_enough_for_not_all_to_have_failed(
    otherwise: str,
) -> None:
    bench = Bench(concurrency=1, requests=3)
    assert not bench.work.all_failed
    for place in range(3):
        job = bench.work.take(wait=False)
        assert job
        bench.work.fail(job, "boom") if place != 1 else getattr(bench.work, otherwise)(job)
    assert not bench.work.all_failed


class Failing:
    """An engine that fails every request it takes."""

    def __init__(self) -> None:
        self.served = 0
        self.given = ()

    def serve(self, work: Work) -> None:
        while (job := work.take()) is not None:
            self.served += 1
            work.fail(job, "no kernel image")

    def reset_peaks(self) -> None:
        return

    followers = ()

    def device_peak(self) -> None:
        return None


def test_a_level_of_nothing_but_failures_has_failed() -> None:
    outbox = Outbox()
    config = RunConfig(engine="scripted", endless=True)
    LevelRun(Failing(), config, RunLevel(0, 2, None, 0), ManualClock(), outbox).run(first=False)  # type: ignore[arg-type]
    *_, ended = outbox.drain()
    assert isinstance(ended, LevelEnded)
    assert ended.outcome == "failed" and "8 requests in a row failed" in ended.error
