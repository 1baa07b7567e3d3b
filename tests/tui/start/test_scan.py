"""What the start screen finds in files."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from llamatop.recording import holding
from llamatop.recording.files import journal_of
from llamatop.recording.reader import open_recording
from llamatop.recording.writer import Recorder
from llamatop.reports import this_machine as here
from llamatop.reports.models import FOLDERS
from llamatop.settings.config import RunConfig
from llamatop.tui.monitor.views.values import TIMES
from llamatop.tui.start import scan as start_scan
from llamatop.tui.start.aside import recording
from llamatop.tui.start.listing import row_line
from llamatop.tui.start.results import readable, result_of
from llamatop.tui.start.rows import RECORDINGS, SAMPLES, Heading, rows_of, typed
from llamatop.tui.start.state import Start

HELD_NOW = holding.held_now
"""The real one."""


@pytest.fixture
def recorded(tmp_path: Path, run_events) -> Path:
    path = tmp_path / "2026-11-05-140312-demo.parquet"
    recorder = Recorder(str(path), keep_text=False)
    recorder.write(run_events)
    recorder.close()
    return path


def test_a_recording_tells_itself_from_its_footer(recorded):
    (kept,) = start_scan.recordings([recorded.parent])
    whole = open_recording(recorded)
    assert (kept.path, kept.model, kept.engine) == (recorded, "demo", "scripted")
    assert kept.events == len(whole.events)
    assert kept.bytes == recorded.stat().st_size
    assert (kept.state == "complete") == whole.complete


def test_the_newest_recording_comes_first_and_damaged_ones_are_listed(recorded):
    folder = recorded.parent
    (folder / "broken [x]\x1b.parquet").write_bytes(b"PAR1 and no more")
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "2026-11-06-140312-qwen.parquet.journal").write_bytes(b"SQLite")
    (folder / "nowhere.parquet").symlink_to(folder / "gone")
    (folder / "folder.parquet").mkdir()
    os.mkfifo(folder / "pipe.parquet")
    for age, name in enumerate(("2026-11-06-140312-qwen.parquet.journal", recorded.name)):
        os.utime(folder / name, (2e9 - age, 2e9 - age))
    kept = start_scan.recordings([folder, folder / "missing"])
    assert [k.state for k in kept][:1] == ["cut off"]
    assert (kept[0].model, kept[0].path.name) == ("qwen", "2026-11-06-140312-qwen.parquet")
    assert [k.started for k in kept] == sorted((k.started for k in kept), reverse=True)
    assert {k.model: k.state for k in kept[1:]} == {
        "broken [x]␛": "damaged",
        "empty": "damaged",
        "demo": "complete",
    }


def test_a_recording_that_is_being_made_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that is looked into, and in any other of this machine."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    recorder = Recorder(str(tmp_path / "now.parquet"), keep_text=False)
    (kept,) = start_scan.recordings([tmp_path])
    held = journal_of(recorder.path)
    assert held in HELD_NOW()
    monkeypatch.setattr(holding, "held_now", lambda: [held])
    elsewhere = [one for one in start_scan.recordings() if not one.sample]
    recorder.discard()
    assert held not in HELD_NOW()
    assert (kept.state, kept.path) == ("being recorded", recorder.path)
    assert [(one.state, one.path) for one in elsewhere] == [("being recorded", recorder.path)]
    told = "\n".join("".join(text for text, _ in line) for line in recording(kept, 60))
    assert "Enter follows it live" in told


def test_a_journal_beside_its_recording_is_listed_once(recorded):
    Path(f"{recorded}.journal").write_bytes(b"SQLite")
    (kept,) = start_scan.recordings([recorded.parent])
    assert kept.state != "cut off"


def test_folders_with_models_are_listed(tmp_path):
    model = tmp_path / "mine"
    model.mkdir()
    (model / "config.json").write_text(
        json.dumps({"dtype": "bfloat16", "max_position_embeddings": 4096})
    )
    _write_weights(model, 900)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    found = {Path(c.model).name: c for c in start_scan.models([tmp_path]) if c.source == "folder"}
    assert (found["mine"].parameters, found["mine"].context) == (500, 4096)
    assert (found["broken"].weights_bytes, found["broken"].context) == (None, None)
    assert found["mine"].problem("auto") == ""
    assert start_scan.models([model])[0].model == str(model)


def _write_weights(folder: Path, size: int) -> None:
    """A safetensors file with one tensor, of 100 bytes more."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, size]}})
    (folder / "model.safetensors").write_bytes(
        (92).to_bytes(8, "little") + header.ljust(92).encode() + b"x" * size
    )


@pytest.mark.parametrize(
    ("config", "weights", "problem", "with_random"),
    [
        (None, b"", "has no config.json", "has no config.json"),
        ("{", b"", "config.json is no JSON", "config.json is no JSON"),
        ("[]", b"", "config.json is no JSON object", "config.json is no JSON object"),
        ("{}", None, "has no model.safetensors", ""),
        ("{}", b"", "model.safetensors is empty or cut short", ""),
        ("{}", b"\x02" + bytes(7) + b"{}" + b"more", "model.safetensors is cut short", ""),
    ],
)
def test_a_folder_says_why_it_cannot_be_loaded(
    tmp_path: Path, config: str | None, weights: bytes | None, problem: str, with_random: str
) -> None:
    folder = tmp_path / "[x] mine"
    folder.mkdir()
    if config is not None:
        (folder / "config.json").write_text(config)
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    (choice,) = (c for c in start_scan.models([tmp_path]) if c.source == "folder")
    assert choice.problem("auto") == problem
    assert choice.problem("random") == with_random
    if not choice.unreadable:
        assert (choice.parameters, choice.weights_bytes) == (None, None), "unknown, not a part"


def test_a_folder_that_is_typed_tells_itself_and_one_that_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    model = tmp_path / "mine"
    model.mkdir()
    (model / "config.json").write_text('{"max_position_embeddings": 4096}')
    _write_weights(model, 900)
    for name in (str(model), f"{model}/", "~/mine"):
        choice = start_scan.named(name)
        assert (choice.model, choice.context, choice.weights_bytes) == (str(model), 4096, 1000)
    for name in ("./nowhere", "~/nowhere", "/nowhere/at/all"):
        assert start_scan.named(name).unreadable == "there is no such folder"
    for name in ("Qwen/Qwen3-0.6B", "~nobody-of-that-name/x", "/" + "x" * 5000, "a\0b"):
        assert start_scan.named(name) in (
            typed(name),
            replace(typed(name), unreadable="there is no such folder"),
        )


def test_the_machine_has_cores_and_memory():
    machine = here.machine()
    assert machine.cores >= 1
    assert 0 < machine.available <= machine.total


def test_folders_of_models_are_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("models/here", "there/one"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDERS, str(tmp_path / "there"))
    found = [Path(c.model).name for c in start_scan.models() if c.source == "folder"]
    assert found == ["here", "one"]


def test_samples_come_after_ones_own(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("recordings/own.parquet", "recordings/samples/shipped.parquet"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(recorded, tmp_path / place)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "figures.parquet").write_bytes(b"PAR1 of something else")
    shutil.copy(recorded, tmp_path / "here.parquet")
    recorded.unlink()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    monkeypatch.setattr(start_scan, "samples", lambda: tmp_path / "recordings" / "samples")
    kept = [(k.path.stem, k.sample) for k in start_scan.recordings()]
    assert sorted(kept[:2]) == [("here", False), ("own", False)]
    assert kept[2:] == [("shipped", True)]
    rows = rows_of([], start_scan.recordings(), "")
    headings = [row.text for row in rows if isinstance(row, Heading)]
    assert headings[-2:] == [RECORDINGS, SAMPLES]


def test_samples_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    kept = {one.path.stem: one for one in start_scan.recordings()}
    assert all(one.sample for one in kept.values())
    killed = kept["engine-killed-cpu"]
    assert readable(killed)
    found = result_of(killed)
    result = found.lines
    assert (found.levels, found.failed) == ("4-8", True)
    assert result[0].startswith("the engine was killed by SIGKILL in level 1 of 2")
    assert [line.partition(":")[0] for line in result[1:]] == ["concurrency 4", "concurrency 8"]
    assert found.rate.endswith(" tok/s")
    assert "tok/s, TTFT" in result[1] and result[1].endswith(", failed")
    start = Start(RunConfig())
    start.results[killed.path] = found
    row = "".join(text for text, _ in row_line(start, killed, 100, chosen=False))
    assert row.split()[:3] == ["demo", "batch", f"{TIMES}4-8"] and found.rate in row
    assert row.rstrip().endswith("✗ failed")
    told = "\n".join("".join(text for text, _ in line) for line in recording(killed, 60, result))
    assert "result" in told and "the engine was killed by SIGKILL" in told


def test_the_wheel_has_the_samples() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    built = project["tool"]["hatch"]["build"]["targets"]
    assert built["wheel"]["force-include"]["recordings/samples"] == "llamatop/samples"
    assert "recordings/samples" in built["sdist"]["include"]
