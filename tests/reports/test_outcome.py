"""What is said first of a run: how it ended, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamatop.cli import main
from llamatop.errors import InputError
from llamatop.events.kinds import (
    EngineLost,
    Event,
    LevelEnded,
    LevelStarted,
    ModelRefused,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
)
from llamatop.reports.outcome import engine_lost, failure, outcome_line
from llamatop.reports.recommend import recommend
from llamatop.reports.run_text import table
from llamatop.reports.runs import run_of
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from tests.commands.test_ending import begun
from tests.recording.runs import loaded, started
from tests.reports.samples import with_config

SAMPLES = Path(__file__).parents[2] / "recordings" / "samples"
KILLED = EngineLost(30, -9, "killed by SIGKILL")


def level(
    id: int, ends: int, outcome: str | None = None, error: str = "", done: int = 4
) -> list[Event]:
    """A level of six requests in which some were done, and perhaps its end."""
    events: list[Event] = [LevelStarted(ends - 8, id, 2 * id + 2, 6)]
    for request in range(10 * id, 10 * id + done):
        events += [
            RequestQueued(ends - 7, request, id, 8, 8),
            RequestFinished(ends - 6, request, "length"),
        ]
    return events if outcome is None else [*events, LevelEnded(ends, id, outcome, error=error)]


def told(*events: Event, **config: object) -> str:
    """The first line of a run of two levels."""
    session = fold(with_config([started(), *events], **{"concurrency": (2, 4), **config}))
    assert table(session).splitlines()[0] == outcome_line(session)
    assert summary(session, None)["error"] == failure(session)
    return outcome_line(session)


WHERE = "in level 2 of 2 (concurrency 4), 4 of 6 requests done"


@pytest.mark.parametrize(
    ("lost", "line"),
    [
        ("killed by SIGKILL", f"the engine was killed by SIGKILL {WHERE}"),
        ("killed by SIGABRT: no luck", f"the engine was killed by SIGABRT {WHERE}: no luck"),
        ("out of memory: the kernel ended it", f"out of memory {WHERE}: the kernel ended it"),
        ("ValueError: a: b", f"the engine ended by itself {WHERE}: ValueError: a: b"),
    ],
)
def test_where_an_engine_was_lost_and_to_what(lost: str, line: str) -> None:
    events = [loaded(), *level(0, 10, "ok"), *level(1, 30, "failed", lost)]
    events[-1:-1] = [EngineLost(29, -9, lost)]
    assert told(*events, RunEnded(40, "failed")) == line


def test_an_engine_that_was_lost_again_is_told_with_its_level() -> None:
    first, again = "killed by SIGKILL", "killed by SIGABRT"
    events = [loaded(), *level(0, 10, "failed", first), *level(1, 30, "failed", again)]
    events[-1:-1] = [EngineLost(29, -6, again)]
    place = next(i for i, event in enumerate(events) if isinstance(event, LevelEnded))
    events[place:place] = [EngineLost(9, -9, first)]
    assert told(*events, RunEnded(40, "failed")) == (
        "the engine was killed by SIGKILL in level 1 of 2 (concurrency 2), 4 of 6 requests done; "
        "lost again in level 2"
    )


def test_an_engine_that_was_lost_while_it_loaded() -> None:
    assert told(KILLED, RunEnded(40, "failed")) == (
        "the engine was killed by SIGKILL while the model was loaded"
    )
    again = [*level(0, 10, "failed", "killed by SIGKILL"), KILLED, RunEnded(40, "failed")]
    assert "while the model was loaded" in told(loaded(), *again)


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([*level(0, 10, "ok"), RunEnded(40, "ok")], "done: 1 level, 4 requests"),
        ([*level(0, 10, "stopped"), RunEnded(40, "stopped")],
         "stopped in level 1 of 2 (concurrency 2), 4 of 6 requests done"),
        (level(0, 10), "cut off in level 1 of 2 (concurrency 2), 4 of 6 requests done"),
        ([], "cut off before the first level"),
        ([ModelRefused(9, "no such layer"), RunEnded(40, "failed")],
         "the model was refused: no such layer"),
        ([*level(0, 10, "failed", "KeyError: x"), RunEnded(40, "failed")],
         "failed in level 1 of 2 (concurrency 2), 4 of 6 requests done: KeyError: x"),
        ([*level(0, 10, "oom", "no room"), RunEnded(40, "oom")],
         "out of memory in level 1 of 2 (concurrency 2), 4 of 6 requests done: no room"),
        ([RunEnded(40, "failed")], "the run failed; nothing tells why"),
    ],
)  # fmt: skip
def test_how_a_run_ended(events: list[Event], line: str) -> None:
    assert told(loaded(), *events) == line


def test_requests_that_failed() -> None:
    failed: list[Event] = []
    for id, why in enumerate(("slow", "slow", "odd")):
        failed += [RequestQueued(3, 90 + id, 0, 8, 8), RequestFailed(4, 90 + id, why)]
    failed += [RequestQueued(3, 99, 0, 8, 8), RequestCancelled(4, 99)]
    ends = [LevelEnded(10, 0, "ok"), RunEnded(11, "ok")]
    assert told(loaded(), *level(0, 10), *failed, *ends) == "3 requests failed: slow (2 of them)"
    one = [*failed[:2], *ends]
    assert told(loaded(), *level(0, 10), *one) == "1 request failed: slow"


def test_the_end_of_memory_that_was_sought_is_an_answer() -> None:
    events = [*level(0, 10, "ok"), *level(1, 30, "oom", "no room"), RunEnded(40, "oom")]
    line = told(loaded(), *events, until_oom=True)
    assert line == "done: 2 levels, 8 requests; memory ends at 4 requests at once, 2 work"


def test_a_run_that_lost_its_engine_is_not_complete() -> None:
    lost = [*begun(), KILLED, LevelEnded(31, 0, "failed", error="killed by SIGKILL")]
    found = summary(fold([*lost, RunEnded(40, "failed")]), None)
    assert (found["complete"], found["levels"][0]["reason"]) == (False, "killed by SIGKILL")
    sought = fold([*begun(until_oom=True), KILLED, LevelEnded(31, 0, "oom"), RunEnded(40, "oom")])
    assert summary(sought, None)["complete"] and not engine_lost(sought)
    assert summary(fold(lost), None)["levels"][0]["outcome"] == "failed"


def test_recommend_names_why_nothing_can_be() -> None:
    events = [*begun(), KILLED, LevelEnded(31, 0, "failed", error="killed by SIGKILL")]
    with pytest.raises(
        InputError, match=r"nothing to recommend .*run: the engine was killed by SIG"
    ):
        recommend([run_of(fold([*events, RunEnded(40, "failed")]))], "throughput")


def test_several_recordings_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    files = [SAMPLES / f"{name}.parquet" for name in ("engine-killed-cpu", "demo-sweep-cpu")]
    assert main(["show", *map(str, files)]) == 0
    killed, done = capsys.readouterr().out.splitlines()
    assert killed.startswith("engine-killed-cpu.parquet: demo, batch: the engine was killed by SIG")
    assert done == "demo-sweep-cpu.parquet: demo, batch: done: 4 levels, 256 requests"
    assert main(["show", str(files[0]), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["levels"][1]["reason"] == "stopped by a person or a signal before its end"
