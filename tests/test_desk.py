"""What becomes of recordings that the screen makes."""

from __future__ import annotations

from pathlib import Path

from llamatop.commands.desk import Desk
from llamatop.config import RunConfig
from llamatop.engines.scripted import script

CONFIG = RunConfig(engine="scripted", requests=2, gen_toks=4)


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
