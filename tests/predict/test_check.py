"""`check` and `roofline` as commands: JSON, exit codes, one line for what cannot be."""

import json
from pathlib import Path

import pytest

from llamatop.commands import check, roofline
from llamatop.errors import InputError
from llamatop.predict import checking
from llamatop.predict.machine import Measured, cached_machine

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
MEASURED = Measured("a CPU", "bfloat16", 2, 40e9, 30e9, 50e9, 20e9, 1e12, "2.13")


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured, and nothing is left in the person's own cache."""
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checking, "measure_machine", lambda *_: MEASURED)


def test_json_has_what_the_page_promises(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", MODEL, "--concurrency", "1", "8", "--memory", "24GB", "--json"]
    assert check.main([*arguments, "--device", "cpu"]) == 0
    told = json.loads(capsys.readouterr().out)
    (model,) = told["models"]
    assert told["schema"] == 1
    assert model["parameters"] == model["active_parameters"] == 134515008
    assert model["kv_bytes_per_token"] == 23040
    assert model["available_bytes"] == 24_000_000_000
    assert model["verdict"] == "fits"
    assert model["max_concurrency"] > 8
    one, eight = model["levels"]
    assert one["fits"] and eight["peak_bytes"] > one["peak_bytes"] > model["weights_bytes"]
    assert sum(one["parts"].values()) == one["peak_bytes"]
    weights = model["weights_bytes"]
    assert one["decode_floor_tok_s"] == pytest.approx(50e9 / (weights + 144 * 23040), rel=0.01)
    assert one["prefill_floor_s"] >= weights / 50e9 * 0.99


def test_exit_3_and_what_would_fit(capsys: pytest.CaptureFixture[str]) -> None:
    big = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--concurrency", "2"]
    assert check.main([*big, "--memory", "12GB", "--device", "cpu"]) == 3
    told = capsys.readouterr().out
    assert "does not fit" in told
    assert "RTX 4090" in told


def test_another_device(capsys: pytest.CaptureFixture[str]) -> None:
    big = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--json"]
    assert check.main([*big, "--device-name", "H100 SXM"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["device"], model["device_name"]) == ("cuda", "H100 SXM")
    assert model["levels"][0]["decode_floor_tok_s"] == pytest.approx(221, rel=0.05)


def test_one_line_for_what_cannot_be(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    for model in (str(encoder), str(broken), str(tmp_path / "absent"), "no such/id at all"):
        with pytest.raises(InputError) as told:
            check.main(["--model", model, "--device", "cpu"])
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="--memory"):
        check.main(["--memory", "much"])
    with pytest.raises(InputError, match="--device-name"):
        check.main(["--device-name", "abacus"])


@pytest.mark.slow
def test_roofline_measures_and_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    assert roofline.main(["--device", "cpu", "--dtype", "float32", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = cached_machine("cpu", "float32")
    assert kept is not None
    assert kept.bandwidth == told["bandwidth_bytes_s"] > 1e8
    assert told["dtypes"]["float32"]["matmul_flop_s"] > 1e8
