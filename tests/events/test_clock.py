"""The clock of a run."""

from __future__ import annotations

import time

import pytest

from llamatop.events.clock import MonotonicClock
from tests.run.test_live import Run


def test_the_clock_is_not_the_one_that_people_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, hours = MonotonicClock(), iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    monkeypatch.setattr(time, "time_ns", lambda: next(hours) * 10**9)
    one = Run(requests=2)
    try:
        one.until(lambda: one.live.ended)
    finally:
        one.live.close()
    times = [request.times for request in one.session.requests.values()]
    assert all(list(each) == sorted(each) for each in times)
    assert 0 <= max(each[-1] for each in times) <= one.session.now <= clock.now()
