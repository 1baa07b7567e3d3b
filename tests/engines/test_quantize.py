"""Weights in fewer bits: really smaller, really computed with, the same from a folder."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from llamatop.engines import int8, models, quantize
from llamatop.engines.loading import Loaded, load
from llamatop.engines.random_weights import weight_bytes
from llamatop.engines.resolve import resolve
from llamatop.engines.torch_engines import make_engine
from llamatop.errors import InputError
from llamatop.predict.traced import Ask
from llamatop.predict.tracer import trace
from llamatop.settings.config import RunConfig

from .conftest import OUTPUT, TINY, Served, load_tiny, silent, tiny_run, write_config

pytest.importorskip("bitsandbytes")

ERROR = {"int8": 0.08, "int4": 0.5}
"""Of the scores of a model whose weights are noise, which none of its layers smooths."""


def scores(loaded: Loaded) -> torch.Tensor:
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        return loaded.model(ids).logits.float()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("how", ["int8", "int4"])
def test_random_weights_are_smaller_and_near_the_same(
    tiny_folder: Path, tiny: Loaded, how: Any, dtype: Any
) -> None:
    found = load_tiny(tiny_folder, quantize=how, dtype=dtype)
    told = trace(Ask("tiny", TINY, dtype=dtype, quantize=how))
    plain = trace(Ask("tiny", TINY, dtype=dtype))
    assert found.facts.weights_bytes == told.weights_bytes < plain.weights_bytes
    assert found.facts.parameters == told.parameters == plain.parameters
    assert (found.facts.quantization, found.facts.dtype) == (how, dtype)
    ours = how == "int8" and dtype == "bfloat16"
    assert ("bitsandbytes" in found.facts.versions) is not ours
    reference = scores(tiny)
    assert (scores(found) - reference).norm() < ERROR[how] * reference.norm()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("how", ["int8", "int4"])
def test_a_folder_gives_the_same_as_its_weights_in_memory(
    tiny_folder: Path, tmp_path: Path, how: Any, dtype: Any
) -> None:
    load_tiny(tiny_folder, dtype=dtype).model.save_pretrained(tmp_path)
    config = RunConfig(model=str(tmp_path), device="cpu", quantize=how)
    found = load(config, resolve(config, silent), silent)
    assert (found.facts.weights, found.facts.dtype) == ("trained", dtype)
    made = load_tiny(tiny_folder, quantize=how, dtype=dtype)
    assert torch.equal(scores(found), scores(made))
    assert found.facts.weights_bytes == made.facts.weights_bytes


@pytest.mark.parametrize("how", ["int8", "int4"])
def test_a_checkpoint_quantised_before_says_so(tiny_folder: Path, tmp_path: Path, how: Any) -> None:
    plain = load_tiny(tiny_folder)
    plain.model.save_pretrained(tmp_path / "plain")
    config = RunConfig(model=str(tmp_path / "plain"), device="cpu", quantize=how)
    made = load(config, resolve(config, silent), silent)
    made.model.save_pretrained(tmp_path / "less")
    again = RunConfig(model=str(tmp_path / "less"), device="cpu")
    found = load(again, resolve(again, silent), silent)
    assert found.facts.quantization == "bitsandbytes"
    assert found.facts.parameters == plain.facts.parameters
    assert found.facts.weights_bytes == pytest.approx(made.facts.weights_bytes, rel=0.02)


def test_what_is_packed_in_buffers_counts() -> None:
    """As GPTQ's and AWQ's modules have it."""
    model = torch.nn.Linear(8, 8, bias=False)
    model.register_buffer("qweight", torch.zeros((4, 8), dtype=torch.int32))
    model.register_buffer("rotary", torch.zeros(1000), persistent=False)
    assert weight_bytes(model) == 8 * 8 * 4, "not a quantised checkpoint's"
    model.hf_quantizer = object()
    assert weight_bytes(model) == 8 * 8 * 4 + 4 * 8 * 4


@pytest.mark.parametrize("tokens", [1, int8.FEW_TOKENS, int8.FEW_TOKENS + 1])
@pytest.mark.parametrize("rows", [96, int8.ROWS + 96])
def test_eight_bits_multiply_as_the_numbers_that_they_stand_for(rows: int, tokens: int) -> None:
    """By the kernel, and where the matrix is written out."""
    plain = torch.nn.Linear(64, rows, dtype=torch.bfloat16)
    holder = torch.nn.Sequential(plain)
    wanted, bias = plain.weight.detach().float(), plain.bias.detach().float()
    told: list[int] = []
    int8.quantize_layers(holder, {"0": (rows, 64)}, told.append)
    made = holder[0]
    assert told == [rows * 64 * 2]
    assert (made.weight.dtype, made.weight.nbytes) == (torch.int8, rows * 64)
    held = made.weight.float() * made.scales.float()[:, None]
    assert (held - wanted).abs().max() <= 0.51 * made.scales.max()
    inputs = torch.randn(1, tokens, 64, dtype=torch.bfloat16)
    exact = inputs.float() @ held.t() + bias
    with torch.inference_mode():
        found = made(inputs).float()
    assert found.shape == (1, tokens, rows)
    assert (found - exact).abs().max() <= 2**-7 * exact.abs().max()


def test_a_row_of_zeros_stays_zero() -> None:
    made = int8.Int8(2, 64, None)
    made.take(torch.tensor([[0.0] * 64, [1.0] * 64], dtype=torch.bfloat16))
    assert made(torch.ones(1, 64, dtype=torch.bfloat16)).tolist() == [[0.0, 64.0]]


def test_bytes_by_hand() -> None:
    layer = 64 * 64 * 2 + 32 * 64 * 2 + 128 * 64 * 3
    rest = 4 * (512 * 64 + 5 * 64)
    eight = trace(Ask("tiny", TINY, dtype="float32", quantize="int8"))
    assert eight.scales_bytes == 2 * 4 * (2 * 64 + 2 * 32 + 2 * 128 + 64)
    assert eight.weights_bytes == rest + 2 * layer + eight.scales_bytes
    half = trace(Ask("tiny", TINY, dtype="bfloat16", quantize="int8"))
    assert half.scales_bytes == eight.scales_bytes // 2
    assert half.weights_bytes == rest // 2 + 2 * layer + half.scales_bytes
    four = trace(Ask("tiny", TINY, dtype="float32", quantize="int4"))
    assert four.scales_bytes == 2 * layer // 64 * (2 if quantize.packs("cpu") else 4)
    assert four.weights_bytes == rest + 2 * layer // 2 + four.scales_bytes
    assert four.read_bytes == four.weights_bytes  # the tied table is the head


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ["batch", "threads", "continuous"])
def test_each_engine_runs_it(tiny_folder: Path, engine: Any, dtype: Any) -> None:
    config = tiny_run(tiny_folder, quantize="int8", engine=engine, dtype=dtype)
    loaded = load(config, resolve(config, silent), silent)
    served = Served(make_engine(config, loaded), requests=3, concurrency=2).end()
    assert served.error is None
    assert list(served.tokens.values()) == [OUTPUT] * 3


def test_matrices_that_no_kernel_takes_stay(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "odd", hidden_size=80, intermediate_size=96)
    found = load_tiny(folder, quantize="int4")
    kept = [m for m in found.model.modules() if isinstance(m, torch.nn.Linear)]
    assert any(quantize.is_quantized(m) for m in kept) is False
    assert scores(found).isfinite().all()


def test_stacked_experts_are_refused() -> None:
    experts = {**TINY, "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"],
               "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2,
               "moe_intermediate_size": 48, "decoder_sparse_step": 1}  # fmt: skip
    with pytest.raises(InputError, match="experts stacked in 3-D"):
        trace(Ask("experts", experts, quantize="int4"))


def test_without_the_library_it_is_told_in_one_line(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    absent = lambda name: None if name == "bitsandbytes" else found(name)  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", absent)
    with pytest.raises(InputError, match=r"pip install bitsandbytes") as told:
        models.load_engine(tiny_run(tiny_folder, quantize="int8"), silent)
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match=r"pip install bitsandbytes$"):
        models.load_engine(tiny_run(tiny_folder, quantize="int4"), silent)
    without = tiny_run(tiny_folder, quantize="int8", dtype="bfloat16")
    assert load(without, resolve(without, silent), silent).facts.quantization == "int8"


def test_what_is_quantised_already_is_refused(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "four", quantization_config={"quant_method": "gptq"})
    with pytest.raises(InputError, match="quantised already"):
        resolve(tiny_run(folder, quantize="int8"), silent)
