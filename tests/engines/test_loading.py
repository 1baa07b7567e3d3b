"""From a folder to a model that generates, and what is refused on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.profiler import ProfilerActivity, profile

from llamatop.engines import devices
from llamatop.engines.batch import BatchEngine
from llamatop.engines.loading import Loaded, load
from llamatop.engines.resolve import resolve
from llamatop.errors import InputError
from llamatop.events.kinds import RequestFinished
from tests.engines.conftest import Served, load_tiny, silent, tiny_run, write_config


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(InputError) as refused:
        load_tiny(folder, **changes)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def trained(tiny: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model saved as a checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.model.save_pretrained(folder)
    return folder


def test_the_facts_of_a_model(tiny: Loaded) -> None:
    facts = tiny.facts
    assert (facts.weights, facts.device, facts.dtype) == ("random", "cpu", "float32")
    assert facts.weights_bytes == 4 * (facts.parameters or 0)
    assert (facts.layers, facts.whole_layers, facts.context) == (2, 2, 256)
    assert facts.threads == torch.get_num_threads()
    assert set(facts.versions) == {"torch", "transformers"}
    assert facts.device_name


def test_trained_weights_are_the_checkpoints(tiny: Loaded, trained: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    config = tiny_run(trained, weights="auto")
    source = resolve(config, silent)
    loaded = load(config, source, lambda *step: told.append(step))
    assert loaded.facts.weights == "trained"
    assert loaded.facts.parameters == tiny.facts.parameters
    for name, value in tiny.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value)
    size = (trained / "model.safetensors").stat().st_size
    assert told[0] == ("weights", 0, size)
    assert told[-1] == ("weights", size, size)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.parametrize("asks", [True, False])
def test_the_head_is_multiplied_once_for_all_requests(tiny_folder: Path, asks: bool) -> None:
    model = load_tiny(tiny_folder).model
    if not asks:  # what loading prevents
        model.requires_grad_(False)
    cpu = [ProfilerActivity.CPU]
    with torch.inference_mode(), profile(activities=cpu, record_shapes=True) as seen:
        model(input_ids=torch.ones((3, 4), dtype=torch.long), logits_to_keep=1)
    one_by_one = [event.input_shapes[1][-1] for event in seen.events() if event.name == "aten::bmm"]
    assert (model.config.vocab_size in one_by_one) is not asks


@pytest.mark.parametrize("weights", ["auto", "random"])
def test_a_slice_keeps_the_first_layers(tiny: Loaded, trained: Path, weights: str) -> None:
    loaded = load_tiny(trained, weights=weights, layers=1)
    assert (loaded.facts.layers, loaded.facts.whole_layers) == (1, 2)
    assert len(loaded.model.model.layers) == 1
    assert (loaded.facts.parameters or 0) < (tiny.facts.parameters or 0)
    if weights == "auto":
        name = "layers.0.mlp.up_proj.weight"
        assert torch.equal(
            loaded.model.model.get_parameter(name), tiny.model.model.get_parameter(name)
        )
    config = tiny_run(trained)
    assert len(Served(BatchEngine(loaded, config), 2, 2).end().of(RequestFinished)) == 2


def test_lists_of_layers_are_cut(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention"] * 3
    folder = write_config(
        tmp_path, model_type="qwen3", architectures=["Qwen3ForCausalLM"], layer_types=kinds,
        num_hidden_layers=6, use_sliding_window=True, sliding_window=16, head_dim=16,
    )  # fmt: skip
    assert load_tiny(folder, layers=3).model.config.layer_types == kinds[:3]


def test_more_layers_than_there_are(tiny_folder: Path) -> None:
    assert refusal(tiny_folder, layers=3) == f"--layers 3: {tiny_folder} has 2"


def test_damaged_weights_of_the_right_size(trained: Path, tmp_path: Path) -> None:
    folder = write_config(tmp_path)
    weights = load_file(trained / "model.safetensors")
    first = next(name for name in weights if "up_proj" in name)
    save_file(
        {name: weights[name] for name in weights if name != first}, folder / "model.safetensors"
    )
    assert "1 of its weights are missing" in refusal(folder, weights="auto")
    save_file(weights | {first: torch.zeros(3, 3)}, folder / "model.safetensors")
    assert "cannot be loaded" in refusal(folder, weights="auto")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "does not generate text"),
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
            "does not generate",
        ),
        ({"architectures": ["LlamaModel"]}, "does not generate text"),
        ({"model_type": "nobody"}, "none that transformers"),
        (
            {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Model"}},
            "wants to run code of its own",
        ),
        ({"num_attention_heads": "many"}, "num_attention_heads in config.json is 'many'"),
        ({"rms_norm_eps": "many"}, "config.json is not usable"),
    ],
)
def test_models_that_cannot_run(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    (tmp_path / "own.py").write_text("raise SystemExit('this ran')")
    assert told in refusal(write_config(tmp_path, **changes))


def test_a_model_that_names_no_class_is_a_causal_one(tmp_path: Path) -> None:
    folder = write_config(tmp_path, architectures=None)
    assert type(load_tiny(folder).model).__name__ == "LlamaForCausalLM"


def test_quantized_architectures_compute_in_bfloat16(tmp_path: Path) -> None:
    folder = write_config(tmp_path, torch_dtype=None, quantization_config={"quant_method": "mxfp4"})
    loaded = load_tiny(folder)
    assert loaded.model.dtype == torch.bfloat16


def test_devices_that_are_not_here(tiny_folder: Path) -> None:
    assert "no such device" in refusal(tiny_folder, device="abacus")
    assert "use --device cpu" in refusal(tiny_folder, device="cuda:99")


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes_follow_the_checkpoint(stored: torch.dtype) -> None:
    expected = torch.float32 if stored == torch.float32 else torch.bfloat16
    assert devices.pick_dtype("auto", stored, torch.device("cpu")) == expected
    assert devices.pick_dtype("float16", stored, torch.device("cpu")) == torch.float16


def test_what_means_that_memory_has_ended() -> None:
    assert devices.is_memory_error(MemoryError())
    assert devices.is_memory_error(torch.OutOfMemoryError("CUDA out of memory"))
    assert devices.is_memory_error(RuntimeError("[enforce fail] can't allocate memory: 8 bytes"))
    assert not devices.is_memory_error(RuntimeError("shape mismatch"))
    assert not devices.is_memory_error(ValueError("out of memory"))


def test_sampling_follows_the_checkpoint(trained: Path, tiny: Loaded, tmp_path: Path) -> None:
    assert tiny.model.generation_config.do_sample is False
    folder = tmp_path / "sampling"
    tiny.model.save_pretrained(folder)
    settings = '{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [5, 6]}'
    (folder / "generation_config.json").write_text(settings)
    sampling = load_tiny(folder, weights="auto").model.generation_config
    assert (sampling.do_sample, sampling.temperature, sampling.top_p) == (True, 0.6, 0.9)
    assert sampling.eos_token_id is None


def test_nothing_is_printed(tiny_folder: Path) -> None:
    code = (
        "import sys\n"
        "from llamatop.settings.config import RunConfig\n"
        "from llamatop.engines.models import load_engine\n"
        "from tests.engines.conftest import Served\n"
        "for name, model, weights in (('batch', 'demo', 'auto'),\n"
        "                             ('continuous', sys.argv[1], 'random')):\n"
        "    config = RunConfig(model=model, weights=weights, engine=name, device='cpu',\n"
        "                       prompt_toks=20, gen_toks=6)\n"
        "    Served(load_engine(config, lambda *step: None), 2, 2).end()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_folder)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
