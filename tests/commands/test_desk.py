"""What becomes of recordings that the screen makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.commands.desk import Desk
from llamatop.engines.scripted import script
from llamatop.events.kinds import EngineLost, Event, HostFacts, ModelRefused, RunEnded, RunStarted
from llamatop.run import engine, live
from llamatop.run.replay import fold
from llamatop.settings.config import RunConfig

CONFIG = RunConfig(engine="scripted", requests=2, gen_toks=4)
HOST = HostFacts("Linux", "a processor", 2, 24_000_000_000, "3.11")
STARTED = RunStarted(0, CONFIG, HOST, "0.1.0", "")
WELL: list[Event] = [STARTED, RunEnded(9, "ok")]
LOST: list[Event] = [STARTED, EngineLost(3, -9, "ended by SIGKILL"), RunEnded(9, "failed")]
REFUSED: list[Event] = [STARTED, ModelRefused(3, "no such folder"), RunEnded(9, "failed")]


def test_where_a_recording_is_is_told_on_the_screen_and_after_it(tmp_path: Path) -> None:
    out = tmp_path / "run.parquet"
    desk = Desk(str(out))
    recorder = desk.record(CONFIG)
    recorder.write(script(CONFIG))
    assert desk.finish(recorder, worth=True) == str(out)
    assert desk.kept[0] == f"recording: {out}"
    assert [line.split()[:2] for line in desk.kept[1:]] == [
        ["llamatop", "replay"],
        ["llamatop", "compare"],
    ]
    assert all(str(out) in line for line in desk.kept)
    assert out.exists()


def test_a_run_that_came_to_nothing_is_told_nowhere(tmp_path: Path) -> None:
    desk = Desk(str(tmp_path / "run.parquet"))
    assert desk.finish(desk.record(CONFIG), worth=False) == ""
    assert desk.kept == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("runs", "failed"),
    [([], False), ([WELL], False), ([LOST, WELL], True), ([WELL, LOST], True), ([REFUSED], False)],
)
def test_one_run_that_failed_is_not_made_good_by_others(
    runs: list[list[Event]], failed: bool
) -> None:
    desk = Desk()
    for events in runs:
        desk.ended(fold(events))
    assert desk.failed is failed


class Warm:
    """A warmed engine; `exit_code` None: it is there still."""

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code


def test_an_engine_that_was_lost_while_it_warmed_is_not_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warmed, got = [Warm(-9), Warm(-9), Warm(None)], list[object]()
    monkeypatch.setattr(engine, "warm_engine", lambda: warmed.pop(0))
    monkeypatch.setattr(live, "LiveRun", lambda config, engine, prepare: got.append(engine))
    desk = Desk(save=False)
    desk.warm()
    desk.run(RunConfig())
    assert got == [None], "the run starts one of its own"
    desk.warm()
    desk.warm()
    desk.warm()
    desk.run(RunConfig())
    assert isinstance(got[1], Warm) and got[1].exit_code is None and not warmed
