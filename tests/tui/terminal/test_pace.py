"""How often the screen is drawn beside which engine."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from llamatop.events.kinds import HostFacts, HostSampled, RunStarted
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.tui.terminal.pace import CPU_HZ, CPU_NICE, SAMPLES, Pace
from tests.recording.runs import loaded


def run_of(engine: str, device: str = "cpu", *, url: str = "") -> Session:
    """A run whose model is there."""
    session = Session()
    config = RunConfig(urls=(url,) if url else ())
    session.apply(RunStarted(0, config, HostFacts("", "", 2, None, ""), "", ""))
    session.apply(loaded(engine=engine, device=device))
    return session


def is_seen(session: Session, *percent: float, times: int = SAMPLES) -> None:
    """The probe finds the cores so busy."""
    for _ in range(times):
        session.apply(HostSampled(0, None, None, None, cpu_percent=percent))


MODEL = run_of("batch")
SCRIPTED = run_of("scripted")
GPU = run_of("batch", "cuda")


class Timers:
    """Keeps the intervals that were set, and which of them run."""

    def __init__(self) -> None:
        self.running: list[Interval] = []

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Interval:
        self.running.append(Interval(interval, self))
        return self.running[-1]


class Interval:
    def __init__(self, seconds: float, among: Timers) -> None:
        self.seconds, self._among = seconds, among

    def stop(self) -> None:
        self._among.running.remove(self)


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How far the process stepped back, each time."""
    steps: list[int] = []
    monkeypatch.setattr(os, "nice", steps.append)
    return steps


def begun(timers: Timers, hz: float = 10) -> Pace:
    pace = Pace(hz, lambda: None)
    pace.begin(timers)
    return pace


@pytest.mark.parametrize("session", [None, Session(), SCRIPTED, GPU])
def test_the_wished_pace_is_kept_where_nobody_shares_the_processor(session, stepped):
    timers = Timers()
    begun(timers).suit(session)
    assert [timer.seconds for timer in timers.running] == [0.1]
    assert not stepped


def test_beside_an_engine_on_the_processor_it_draws_rarely_and_steps_back_once(stepped):
    timers = Timers()
    pace = begun(timers)
    pace.suit(MODEL)
    pace.suit(MODEL)
    assert [timer.seconds for timer in timers.running] == [1 / CPU_HZ]
    assert stepped == [CPU_NICE]
    pace.suit(None)
    assert [timer.seconds for timer in timers.running] == [0.1]


def test_a_slower_pace_than_that_stays(stepped):
    timers = Timers()
    begun(timers, 0.5).suit(MODEL)
    assert [timer.seconds for timer in timers.running] == [2]
    assert not stepped


def test_beside_a_server_here_that_takes_all_cores_it_draws_rarely_while_that_lasts(stepped):
    timers, session = Timers(), run_of("server", "server", url="http://127.0.0.1:8080")
    pace = begun(timers)
    seen = []
    for percent in [(), (100, 20), (100, 98), (60, 60), (20, 10), (100, 100)]:
        is_seen(session, *percent)
        pace.suit(session)
        seen += [timer.seconds for timer in timers.running]
    assert seen == [0.1, 0.1, 1 / CPU_HZ, 1 / CPU_HZ, 0.1, 1 / CPU_HZ]
    assert stepped == [CPU_NICE], "stepping back cannot be undone, and is done once"


def test_one_busy_look_at_the_cores_is_not_enough(stepped):
    timers, session = Timers(), run_of("server", "server", url="http://localhost:8080")
    is_seen(session, 5, 5)
    is_seen(session, 100, 100, times=1)
    begun(timers).suit(session)
    assert [timer.seconds for timer in timers.running] == [0.1]


def test_whatever_takes_the_cores_the_screen_of_a_server_elsewhere_keeps_its_pace(stepped):
    timers, session = Timers(), run_of("server", "server", url="http://gpu.example:8000")
    is_seen(session, 100, 100)
    begun(timers).suit(session)
    assert [timer.seconds for timer in timers.running] == [0.1]
