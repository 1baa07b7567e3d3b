"""What a run's exit code says."""

from __future__ import annotations

import pytest

from llamatop.commands.ending import exit_code
from llamatop.events.kinds import (
    EngineLost,
    Event,
    HostFacts,
    LevelEnded,
    LevelStarted,
    Outcome,
    RequestCancelled,
    RequestFailed,
    RequestQueued,
    RunEnded,
    RunStarted,
)
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

FAILED = [RequestQueued(2, 0, 0, 8, 8), RequestFailed(3, 0, "broken")]
CANCELLED = [RequestQueued(2, 0, 0, 8, 8), RequestCancelled(3, 0)]
LOST = [EngineLost(3, -9, "ended by SIGKILL")]


def begun(until_oom: bool = False) -> list[Event]:
    config = RunConfig(engine="scripted", until_oom=until_oom)
    host = HostFacts("Linux", "a processor", 2, 24_000_000_000, "3.11")
    return [RunStarted(0, config, host, "0.1.0", ""), LevelStarted(1, 0, 4, None)]


def ended(level: Outcome, run: Outcome) -> list[Event]:
    return [LevelEnded(8, 0, level), RunEnded(9, run)]


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (ended("ok", "ok"), 0),
        (ended("stopped", "stopped"), 0),
        (CANCELLED + ended("stopped", "stopped"), 0),
        (FAILED + ended("ok", "ok"), 1),
        (FAILED + ended("stopped", "stopped"), 1),
        (LOST + ended("failed", "failed"), 1),
        (LOST + ended("failed", "stopped"), 1),
        ([*LOST, RunEnded(9, "failed")], 1),
        (ended("oom", "oom"), 1),
        (ended("oom", "stopped"), 1),
        ([], 0),
    ],
)
def test_what_failed_is_told_whether_or_not_a_person_stopped_it(
    events: list[Event], code: int
) -> None:
    assert exit_code(fold(begun() + events)) == code


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (FAILED + ended("oom", "oom"), 0),
        (LOST + ended("oom", "stopped"), 0),
        (LOST + ended("failed", "failed"), 1),
        ([*LOST, RunEnded(9, "oom")], 0),
    ],
)
def test_the_end_of_memory_is_no_failure_where_it_is_sought(events: list[Event], code: int) -> None:
    assert exit_code(fold(begun(until_oom=True) + events)) == code


def test_a_failure_that_a_long_session_forgot_still_counts() -> None:
    session = Session(keep=4)
    levels = [LevelStarted(10 + id, id, 4, None) for id in range(1, 9)]
    for event in [*begun(), *FAILED, *levels, *ended("ok", "ok")]:
        session.apply(event)
    assert not any(isinstance(event, RequestFailed) for event in session.notable)
    assert exit_code(session) == 1
