import json
import re
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from llamatop.cli import main
from llamatop.reports.fit import Machine
from llamatop.reports.models import choices


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_the_bundled_and_the_built_in_models(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine("a CPU", 2, available=24_000_000_000, total=24_000_000_000)
    monkeypatch.setattr("llamatop.reports.this_machine.machine", lambda: machine)
    assert main(["models", "--json"]) == 0
    models = {one["model"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    assert models["demo"]["source"] == "bundled"
    assert 2_000_000 < models["demo"]["parameters"] < 5_000_000
    assert models["demo"]["context"] >= 2048
    llama = models["meta-llama/Llama-3.1-8B-Instruct"]
    assert (llama["parameters"], llama["weights_bytes"]) == (8_030_261_248, 16_060_522_496)
    scout = models["meta-llama/Llama-4-Scout-17B-16E-Instruct"]
    assert (models["demo"]["verdict"], scout["verdict"]) == ("fits", "does not fit")
    assert scout["needed_bytes"] > 217e9 > scout["available_bytes"]
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "--weights random" in told
    assert re.search(r"^demo .* fits +bundled$", told, re.M)


def test_a_downloaded_model_is_found_with_its_own_figures(cache: Path) -> None:
    snapshot = cache / "models--someone--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(demo_folder() / name)
    found = next(choice for choice in choices() if choice.model == "someone/tiny")
    demo = choices()[0]
    assert found.source == "downloaded"
    assert (found.parameters, found.weights_bytes) == (demo.parameters, demo.weights_bytes)


def test_a_broken_download_is_shown_with_what_is_known(cache: Path) -> None:
    snapshot = cache / "models--someone--broken" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"x" * 20)
    found = next(choice for choice in choices() if choice.model == "someone/broken")
    assert (found.parameters, found.context) == (None, None)


def test_models_lists_the_folders_that_the_environment_names(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"max_position_embeddings": 256}')
    monkeypatch.setenv("LLAMATOP_MODELS", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    assert main(["models", "--json"]) == 0
    listed = {one["model"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    assert listed[str(folder)]["context"] == 256
    assert "demo" in listed
