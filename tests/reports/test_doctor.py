import json
from pathlib import Path

import pytest

from llamatop.cli import main
from llamatop.reports.doctor import findings


def test_it_looks_at_everything_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    told = {one["what"]: one for one in json.loads(out)["findings"]}
    assert {"llamatop", "torch", "memory", "recordings", "terminal", "UTF-8"} <= set(told)
    assert told["inside"]["works"]
    assert "OMP_NUM_THREADS=3, HF_HOME is set" in told["variables"]["detail"]
    assert str(tmp_path) not in out
    assert told["Hugging Face"]["works"]
    assert "hf_secret" not in out


def test_a_missing_library_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamatop.reports.doctor._LIBRARIES", ("no-such-library",))
    found = next(one for one in findings() if one.what == "no-such-library")
    assert not found.works
