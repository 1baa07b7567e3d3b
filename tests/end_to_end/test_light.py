"""A light installation: without torch, all that runs no model in this process works."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from llamatop.cli import main
from llamatop.engines import plausible
from llamatop.engines.models import load_engine
from llamatop.errors import InputError
from llamatop.settings import installed
from llamatop.settings.config import RunConfig

ROOT = Path(__file__).parents[2]
LIGHT = ROOT / "requirements-light.txt"
ABSENT = "needs torch, transformers and accelerate, which are not installed"
SAMPLE = ROOT / "recordings" / "samples" / "llama-3.1-8b-batch-h100.parquet"


@pytest.fixture
def light(monkeypatch):
    """This process with none of the engines' libraries."""
    for name in installed.ENGINES:
        monkeypatch.setitem(sys.modules, name, None)
    known = plausible._text, plausible._listed
    for one in known:
        one.cache_clear()
    yield
    for one in known:
        one.cache_clear()


def test_the_light_list_is_what_the_project_needs_without_the_engines():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line for line in LIGHT.read_text().splitlines() if line and not line.startswith("#")]
    kept = [
        one
        for one in project["dependencies"]
        if re.split(r"[<>=!; ]", one)[0] not in installed.ENGINES
    ]
    assert sorted(named) == sorted(kept)


def test_an_engine_asked_for_says_what_to_install(light):
    with pytest.raises(InputError, match=f"--engine batch: {ABSENT}: pip install torch") as told:
        load_engine(RunConfig(model="demo", engine="batch"), lambda *_: None)
    held = (ROOT / "constraints.txt").read_text().splitlines()
    torch, transformers, *others = str(told.value).partition("pip install ")[2].split()
    assert {torch, transformers} <= set(held), "another torch brings CUDA"
    assert others == ["accelerate"]


@pytest.mark.parametrize("model", ["demo", "meta-llama/Llama-3.1-8B-Instruct"])
def test_what_ships_is_checked_without_the_tracer(light, capsys, model):
    main(["check", "--model", model, "--device-name", "H200", "--concurrency", "1", "8", "--json"])
    told = json.loads(capsys.readouterr().out)["models"][0]
    assert told["verdict"] == "fits"
    assert all(level["peak_bytes"] for level in told["levels"])
    assert told["max_context"]


def test_no_other_model_is_guessed(light, capsys):
    folder = ROOT / "tests" / "data" / "configs" / "kimi-k2.5"
    assert main(["check", "--model", str(folder)]) == 2
    assert ABSENT in capsys.readouterr().err


@pytest.mark.slow
def test_the_wheel_works_without_torch(tmp_path):
    """Installed for real, from the list and the built wheel."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", "-r", LIGHT], check=True)
    subprocess.run([*pip, "hatchling"], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", ROOT], check=True)

    def llamatop(*words):
        done = subprocess.run(
            [python.with_name("llamatop"), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        return done.returncode, done.stdout, done.stderr

    assert llamatop("replay", str(SAMPLE), "--json")[0] == 0
    assert llamatop("recommend", str(SAMPLE))[0] == 0
    assert llamatop("check", "--model", "demo")[0] == 0
    assert llamatop("--record", "--engine", "scripted", "--concurrency", "2")[0] == 0
    code, _, told = llamatop("--record", "--model", "demo")
    assert (code, ABSENT in told, "Traceback" in told) == (2, True, False)
