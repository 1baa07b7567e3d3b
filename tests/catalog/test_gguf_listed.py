"""GGUF files among what can be run here: `llamatop models`, the start screen, a run in process."""

import json
from pathlib import Path

import pytest

from llamatop.commands.models import main
from llamatop.engines.resolve import resolve
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.tui.start import scan
from tests import gguf_files as files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inner").mkdir()
    files.write(tmp_path / "inner" / "m.gguf", *files.transformer())
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("LLAMATOP_MODELS", str(tmp_path))
    return tmp_path


def test_models_lists_them_with_a_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--json"])
    told = {one["model"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    fine, broken = told[str(folder / "inner" / "m.gguf")], told[str(folder / "broken.gguf")]
    assert (fine["source"], fine["verdict"]) == ("gguf", "fits")
    assert fine["parameters"] > 4_000_000
    assert "llama.cpp runs it" in fine["unreadable"]
    assert broken["verdict"] == "cannot load"
    assert "cut short" in broken["unreadable"]


def test_models_says_what_runs_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert (
        "gguf: llama.cpp runs it: llamatop --serve llama.cpp --model FILE"
        in capsys.readouterr().out
    )


def test_the_start_screen_lists_and_knows_them(folder: Path) -> None:
    path = folder / "inner" / "m.gguf"
    assert str(path) in [choice.model for choice in scan.models()]
    assert "llama.cpp" in scan.named(str(path)).problem("auto")


def test_a_run_in_process_is_refused_in_a_line(folder: Path) -> None:
    path = str(folder / "inner" / "m.gguf")
    with pytest.raises(InputError, match=r"llama.cpp runs GGUF files: llamatop --serve"):
        resolve(RunConfig(model=path), lambda *_: None)
