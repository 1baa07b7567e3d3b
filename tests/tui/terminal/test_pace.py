"""How often the screen is drawn beside which engine."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
import pytest

from llamatop.tui.terminal.pace import CPU_HZ, CPU_NICE, Pace
from tests.recording.runs import loaded

MODEL = loaded(engine="batch")
SCRIPTED = msgspec.structs.replace(MODEL, engine="scripted")
GPU = msgspec.structs.replace(MODEL, device="cuda")


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


@pytest.mark.parametrize("model", [None, SCRIPTED, GPU])
def test_the_wished_pace_is_kept_where_nobody_shares_the_processor(model, stepped):
    timers = Timers()
    begun(timers).suit(model)
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
