"""What the commands say of a recording that is still being made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llamatop.commands import compare, export, recommend, replay, show
from llamatop.engines.scripted import script
from llamatop.events.clock import SECOND
from llamatop.recording import writer
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.settings.config import RunConfig
from tests.waiting import until

EVENTS = script(RunConfig(engine="scripted", concurrency=(2, 4)))
HALF = [event for event in EVENTS if event.time < 4 * SECOND]


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.02)
    recorder = Recorder(tmp_path / "now.parquet")
    recorder.write(HALF)
    until(lambda: len(open_recording(recorder.path).events) == len(HALF))
    yield str(recorder.path)
    recorder.discard()


def test_figures_so_far(growing: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for command in (replay.main, show.main):
        assert command([growing, "--json"]) == 0
        out, err = capsys.readouterr()
        told.append(json.loads(out))
        assert err.splitlines() == [_line(growing)]
    assert told[0] == told[1]
    assert (told[0]["complete"], told[0]["error"]) == (False, None)
    assert told[0]["levels"][0]["completed"] > 0
    assert show.main([growing]) == 0
    text = capsys.readouterr().out
    assert text.startswith("still running, in level ") and text.endswith(", still being made\n")


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (compare.main, []),
        (recommend.main, []),
        (export.main, ["--format", "csv", "--table", "requests", "--out", "-"]),
        (export.main, ["--format", "markdown"]),
    ],
)
def test_what_is_there_is_taken_and_that_is_said_in_a_line(
    command: Callable[[list[str]], int], more: list[str], growing: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    whole = Recorder(tmp_path / "whole.parquet")
    whole.write(EVENTS)
    whole.close()
    other = [] if more else [str(whole.path)]
    assert command([growing, *other, *more]) == 0
    out, err = capsys.readouterr()
    assert out and _line(growing) in err.splitlines()


def _line(path: str) -> str:
    return f"llamatop: {path} is still being recorded: this is of its first {len(HALF):,} events"
