"""What becomes of recordings that the screen makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.commands.desk import Desk
from llamatop.config import RunConfig
from llamatop.engines.scripted import script
from llamatop.events import EngineLost, Event, HostFacts, ModelRefused, RunEnded, RunStarted
from llamatop.replay import fold

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
    assert desk.kept == [f"recording: {out}"]
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
