"""The wheel, built and installed for real into a fresh environment of each Python that is here."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LARGEST = 20_000_000
"""Bytes of the wheel."""

pytestmark = pytest.mark.slow


def python_of(version: str) -> str | None:
    """A Python of that version: on the PATH, or where pyenv keeps them."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for one in [shutil.which(f"python{version}"), *map(str, kept)]:
        if one and answers(one) == version:
            return one
    return None


@cache
def answers(python: str) -> str:
    line = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", line], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    subprocess.run([*pip, ROOT], check=True)
    [built] = folder.glob("*.whl")
    return built


def test_it_is_small(wheel):
    assert wheel.stat().st_size < LARGEST


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", PYTHONS)
def test_it_brings_everything(version, wheel, tmp_path):
    python = python_of(version)
    if python is None:
        pytest.skip(f"Python {version} is not here")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    there = tmp_path / "venv" / "bin"
    pip = [there / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", wheel], check=True)
    env = {
        "PATH": f"{there}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LLAMATOP_CACHE": str(tmp_path / "cache"),
        "LC_ALL": "C.UTF-8",
    }

    def told(*words):
        done = subprocess.run(
            [there / "llamatop", *words], capture_output=True, text=True, cwd=tmp_path, env=env,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = {one["what"]: one for one in json.loads(told("doctor", "--json"))["findings"]}
    assert found["inside"] == {
        "what": "inside", "works": True, "detail": "5 themes, 5 samples, the demo model",
    }  # fmt: skip
    assert "from a wheel" in found["llamatop"]["detail"]
    run = json.loads(told("--record", "--requests", "2", "--json", "--out", "run.parquet"))
    assert run["levels"][0]["completed"] == 2
    assert json.loads(told("replay", "run.parquet", "--json"))["levels"] == run["levels"]
    assert "until-slo" in told("completion", "bash")
    assert json.loads(told("check", "--model", "demo", "--json"))["models"][0]["levels"]
