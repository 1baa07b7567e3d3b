"""`check` and `roofline` as commands: JSON, exit codes, one line for what cannot be.

The first that traces and the one whose tracer fails ask a child; the others the tracer in here.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llamatop.catalog import demo_folder
from llamatop.commands import check, roofline
from llamatop.errors import InputError
from llamatop.hardware.measured import Measured
from llamatop.hardware.roofs import cached_machine
from llamatop.predict import checking, forecast, memory
from llamatop.predict.checking import Place
from llamatop.reports.check import check_text
from llamatop.settings.config import RunConfig
from tests.conftest import RUNTIME_BYTES

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
MEASURED = Measured("a CPU", "bfloat16", 2, 40e9, 30e9, 50e9, 20e9, 1e12, "2.13")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this module's own: a question that two tests ask is traced once."""
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(autouse=True)
def measured(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured, and nothing is left in the person's own cache."""
    monkeypatch.setenv("LLAMATOP_CACHE", str(traces))
    monkeypatch.setattr(checking, "measure_machine", lambda *_: MEASURED)


def test_json_has_what_the_page_promises(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", MODEL, "--concurrency", "1", "8", "--memory", "24GB", "--json"]
    arguments += ["--dtype", "bfloat16"]
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


@pytest.mark.usefixtures("traced_here")
def test_exit_3_and_what_would_fit(capsys: pytest.CaptureFixture[str]) -> None:
    big = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--concurrency", "2"]
    big += ["--dtype", "bfloat16"]
    assert check.main([*big, "--memory", "12GB", "--device", "cpu"]) == 3
    told = capsys.readouterr().out
    assert "does not fit" in told
    assert "RTX 4090" in told


@pytest.mark.usefixtures("traced_here")
def test_the_most_at_once_is_what_the_verdict_calls_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "band", lambda *_: 0.1)
    config = RunConfig(model=MODEL, dtype="bfloat16", concurrency=(1,))
    place = Place("cpu", 1_000_000_000, here=False)
    found = checking.check(config, place)
    sure, at_best = found.max_concurrency, found.max_concurrency_at_best
    assert 1 < sure < at_best
    monkeypatch.setattr(checking, "trace_model", lambda *_: found.trace)
    beside = msgspec.structs.replace(config, concurrency=(sure, sure + 1, at_best, at_best + 1))
    levels = checking.check(beside, place).levels
    assert [level.verdict for level in levels] == ["fits", "tight", "tight", "does not fit"]
    assert [level.fits for level in levels] == [True, False, False, False]
    several = check_text(checking.check(beside, place))
    assert several.startswith(f"{MODEL}: fits up to {sure}, tight at {sure + 1}\n")
    tight = msgspec.structs.replace(config, concurrency=(at_best, at_best + 1))
    several = check_text(checking.check(tight, place))
    assert several.startswith(f"{MODEL}: tight up to {at_best}, does not fit at {at_best + 1}\n")
    assert "RTX" not in several and " GPU" not in several, "half a gigabyte on a CPU"
    told = " ".join(check_text(found).split())
    assert told.startswith(f"{MODEL}: fits at most {sure} requests of"), "the answer comes first"
    assert "a prediction that is 10 % too low" in told
    assert (
        f"at most {sure} requests of 128 + 32 tokens at once ({at_best} if the estimate holds), or"
        in told
    )


@pytest.mark.usefixtures("traced_here")
def test_a_level_inside_the_band_is_tight_and_no_reason_to_refuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checking, "band", lambda *_: 1.0)
    arguments = ["--model", MODEL, "--dtype", "bfloat16", "--device", "cpu", "--memory", "800MB"]
    assert check.main([*arguments, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["verdict"], model["levels"][0]["fits"]) == ("tight", False)
    assert (model["max_concurrency"], model["levels"][0]["verdict"]) == (0, "tight")
    assert model["max_concurrency_at_best"] >= 1
    check.main(arguments)
    assert "no request of 128 + 32 tokens for sure (" in capsys.readouterr().out


@pytest.mark.usefixtures("traced_here")
@pytest.mark.parametrize("memory", ["12GB", "17GB", "2TB"])
def test_the_text_is_at_most_80_columns_wide(
    memory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("llamatop.reports.check.cpu_has_bfloat16", lambda: False)
    levels = ["--concurrency", "1", "16", "4096", "--device", "cpu", "--memory", memory]
    check.main(["--model", "meta-llama/Llama-3.1-8B-Instruct", *levels])
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "█ weights 16.1 GB" in told and "\033" not in told


def test_weights_are_as_wide_as_asked_for_or_as_the_checkpoint_has_them() -> None:
    def hopeless(available: float, **settings: str) -> bool:
        config = msgspec.convert(
            {"model": "meta-llama/Llama-3.1-8B-Instruct", **settings}, RunConfig
        )
        return checking._is_hopeless(config, Place("cpu", int(available), here=False))

    assert hopeless(16e9) and not hopeless(17e9)
    assert hopeless(31e9, dtype="float32") and not hopeless(33e9, dtype="float32")
    assert not hopeless(9e9, quantize="int8") and not hopeless(5e9, quantize="int4")
    packed = "openai/gpt-oss-20b"
    assert hopeless(10e9, model=packed) and not hopeless(14e9, model=packed)
    assert hopeless(41e9, model=packed, weights="random")


@pytest.mark.usefixtures("traced_here")
def test_a_name_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b]0;title\x07"
    folder.symlink_to(demo_folder())
    check.main(["--model", str(folder), "--device", "cpu"])
    told = capsys.readouterr().out
    assert "a␛]0;title␇: fits" in told and "\x1b" not in told


@pytest.mark.usefixtures("traced_here")
def test_another_device(capsys: pytest.CaptureFixture[str]) -> None:
    big = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--json"]
    assert check.main([*big, "--device-name", "H100 SXM"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["device"], model["device_name"]) == ("cuda", "H100 SXM")
    assert model["levels"][0]["decode_floor_tok_s"] == pytest.approx(221, rel=0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_here")
def test_a_packed_checkpoint_on_another_device(capsys: pytest.CaptureFixture[str]) -> None:
    """13.8 GB is what the checkpoint's files take."""
    packed = ["--model", "openai/gpt-oss-20b", "--device-name", "RTX 4090"]
    assert check.main([*packed, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["verdict"], model["quantization"]) == ("fits", "mxfp4")
    assert model["weights_bytes"] == pytest.approx(13.76e9, rel=0.01)
    check.main(packed)
    assert f"  {model['quantization_note']}\n" in capsys.readouterr().out


LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 100, "intermediate_size": 128,
}  # fmt: skip
OWN_CODE = {"auto_map": {"AutoModelForCausalLM": "modeling.OwnForCausalLM"}}
UNUSABLE = {
    "cut off": ('{"model_type": "llama", "hidden', "cannot be read"),
    "no JSON": ("hello", "cannot be read"),
    "a list": ("[1, 2]", "cannot be read"),
    "nested": ('{"a":' * 100_000, "cannot be read"),
    "empty": ("{}", "model_type"),
    "no sizes": ('{"model_type": "llama"}', "hidden_size nor num_hidden_layers"),
    "negative": (json.dumps({**LLAMA, "hidden_size": -64}), "hidden_size .* -64"),
    "zero": (json.dumps({**LLAMA, "num_attention_heads": 0}), "num_attention_heads"),
    "absurd": (json.dumps({**LLAMA, "vocab_size": 10**15}), "vocab_size"),
    "too deep": (json.dumps({**LLAMA, "num_hidden_layers": 10**6}), "num_hidden_layers"),
    "a word": (json.dumps({**LLAMA, "hidden_size": "64"}), "hidden_size .* '64'"),
    "odd names": (json.dumps({**LLAMA, "architectures": 7}), "architectures"),
    "odd part": (json.dumps({**LLAMA, "text_config": [1]}), "text_config"),
    "unknown": (json.dumps({**LLAMA, "model_type": "own"}), "'own' is none that transformers"),
    "own type": (json.dumps({**LLAMA, **OWN_CODE, "model_type": "own"}), "code of its own"),
    "own class": (
        json.dumps({**LLAMA, **OWN_CODE, "architectures": ["OwnForCausalLM"]}), "code of its own"
    ),
    "BERT": ('{"model_type": "bert", "architectures": ["BertModel"]}', "BertModel does not gen"),
    "BERT unnamed": ('{"model_type": "bert", "hidden_size": 64}', "bert does not generate"),
    "BERT masked": ('{"model_type": "bert", "architectures": ["BertForMaskedLM"]}', "generate"),
    "T5": (
        '{"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}', "does not generate"
    ),
    "ViT": ('{"model_type": "vit", "architectures": ["ViTForImageClassification"]}', "generate"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_one_line_for_a_config_that_cannot_be_and_no_child_is_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "ask", lambda *_: pytest.fail("transformers was imported for it"))
    text, told = UNUSABLE[name]
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=told) as error:
        check.main(["--model", str(tmp_path), "--device", "cpu"])
    assert "\n" not in str(error.value)


def test_one_line_for_what_cannot_be(tmp_path: Path) -> None:
    for model in (str(tmp_path / "absent"), "no such/id at all"):
        with pytest.raises(InputError) as told:
            check.main(["--model", model, "--device", "cpu"])
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="--memory"):
        check.main(["--memory", "much"])
    with pytest.raises(InputError, match="--device-name"):
        check.main(["--device-name", "abacus"])


@pytest.mark.usefixtures("traced_here")
def test_several_models_are_answered_for_those_that_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    models = ["--model", str(tmp_path / "absent"), str(tmp_path), "--device", "cpu", "--json"]
    assert check.main([*models, "--memory", "24GB"]) == 2
    told = capsys.readouterr()
    (model,) = json.loads(told.out)["models"]
    assert (model["model"], model["verdict"], model["unknown"]) == (str(tmp_path), "fits", {})
    assert "there is no such folder" in told.err and told.err.count("\n") == 1
    weights, tokenizer = model["lacking"]
    assert "has no model.safetensors" in weights and "has no tokenizer.json" in tokenizer
    check.main(["--model", str(tmp_path), "demo", "--device", "cpu", "--memory", "24GB"])
    own, demo = capsys.readouterr().out.split("\ndemo: ")
    assert own.count("but its files are not whole: ") == 2 and "not whole" not in demo


@pytest.mark.usefixtures("traced_here")
def test_the_longest_context_does_not_depend_on_the_lengths_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a page more of tokens does not fit."""
    for module in (checking, forecast):  # whatever a child has measured before
        monkeypatch.setattr(module, "recalled_runtime", lambda: RUNTIME_BYTES)
    monkeypatch.setattr(memory, "cpu_has", lambda *_: False)  # whatever processor this is

    def told(prompt: int, generated: int) -> dict[str, Any]:
        lengths = ["--prompt-toks", str(prompt), "--gen-toks", str(generated)]
        place = ["--device", "cpu", "--dtype", "bfloat16", "--memory", "465MB"]
        check.main(["--model", "demo", "--json", *place, *lengths])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["models"][0]
        return found

    most = told(128, 32)["max_context"]
    assert 64 < most < 2000
    assert told(1024, 8)["max_context"] == most
    assert told(most - 1, 1)["levels"][0]["verdict"] == "fits"
    assert told(most + 15, 1)["levels"][0]["verdict"] != "fits"


def test_a_model_that_cannot_be_traced_is_told_in_a_line(tmp_path: Path) -> None:
    odd = {**LLAMA, "num_attention_heads": 5, "head_dim": 7, "rope_theta": "x"}
    (tmp_path / "config.json").write_text(json.dumps(odd))
    with pytest.raises(InputError) as told:
        check.main(["--model", str(tmp_path), "--device", "cpu"])
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_roofline_measures_and_keeps(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path))
    assert roofline.main(["--device", "cpu", "--dtype", "float32", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = cached_machine("cpu", "float32")
    assert kept is not None
    assert kept.bandwidth == told["bandwidth_bytes_s"] > 1e8
    assert told["dtypes"]["float32"]["matmul_flop_s"] > 1e8


@pytest.mark.usefixtures("traced_here")
@pytest.mark.parametrize(
    ("has", "dtype", "told"),
    [
        (False, "auto", True),
        (True, "auto", False),
        (None, "auto", False),
        (False, "bfloat16", False),
    ],
)
def test_slow_bfloat16_is_told_where_nobody_asked_for_it(
    has: bool | None,
    dtype: str,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("llamatop.reports.check.cpu_has_bfloat16", lambda: has)
    model = "HuggingFaceTB/SmolLM2-1.7B-Instruct"
    check.main(["--model", model, "--device", "cpu", "--dtype", dtype])
    assert ("no arithmetic for bfloat16" in capsys.readouterr().out) == told
