import json

import pytest

from llamatop.cli import main
from llamatop.reports.doctor import findings


def test_it_looks_at_everything_and_tells_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert main(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    told = {one["what"]: one for one in json.loads(out)["findings"]}
    assert {"llamatop", "torch", "memory", "recordings", "terminal", "UTF-8"} <= set(told)
    assert told["Hugging Face"]["works"]
    assert "hf_secret" not in out


def test_a_missing_library_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llamatop.reports.doctor._LIBRARIES", ("no-such-library",))
    found = next(one for one in findings() if one.what == "no-such-library")
    assert not found.works
