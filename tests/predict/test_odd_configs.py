"""Real configs on which tools of this field went wrong: what is told of each is the right value.

Parameters and bytes of published models are their publishers', but for those of gemma-3n and what
DeepSeek V3 and Kimi store: these, and all of the small `arch-*`, are what `check` said when it was
looked at, and hold it to that. The sweep compares such with real forwards.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from llamatop.engines import architecture
from llamatop.engines.resolve import resolve
from llamatop.errors import InputError
from llamatop.predict.traced import Ask, Shape, Trace
from llamatop.predict.tracer import trace
from llamatop.settings.config import RunConfig

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
UNKNOWN = "not told"

RIGHT: dict[str, tuple[int, int | str | None, int]] = {
    "mamba2-780m": (780_161_280, None, 0),
    "mamba2-780m-resaved": (780_161_280, None, 0),
    "mamba-codestral-7b": (7_285_403_648, None, 0),
    "llama-3.1-70b-fp8-modelopt": (70_553_706_496, 72_656_371_712, 327_680),
    "nemotron-3-nano-30b-a3b": (31_577_937_344, None, 6_144),
    "nemotron-3-nano-30b-a3b-nvfp4": (31_577_937_344, UNKNOWN, 6_144),
    "qwen3-32b-fp8-static": (32_762_123_264, 34_318_624_768, 262_144),
    "gemma-4-31b-nvfp4": (31_273_088_876, UNKNOWN, 901_120),
    "gemma-4-31b-it": (31_273_088_876, 62_546_177_752, 901_120),
    "gemma-3n-e4b-text": (6_835_235_568, None, 40_960),
    "deepseek-v2-lite": (15_706_484_224, 31_412_968_448, 31_104),
    "qwen3-8b-awq": (8_190_735_360, 6_098_479_104, 147_456),
    "qwen3-0.6b-fp8": (596_049_920, 751_751_680, 114_688),
    "lfm2-350m": (354_483_968, None, 12_288),
    "granite-4.0-h-350m": (340_332_224, None, 4_096),
    "falcon-h1-0.5b": (521_411_104, None, 18_432),
    "qwen3-vl-2b": (2_127_532_032, None, 114_688),
    "arch-jetmoe": (4_293_888_000, None, 196_608),
    "arch-minimax": (47_373_946_880, None, 131_072),
    "arch-nemotron_h": (1_968_355_712, None, 8_192),
    "arch-qwen2_audio": (12_692_062_208, None, 1_048_576),
    "arch-unlimited_ocr": (3_335_504_128, None, 122_880),
}
"""Parameters, stored bytes (None: nobody has published them), bytes of keys and values a token."""
SLOW = {
    "deepseek-v3": (671_026_404_352, 673_150_582_112, 70_272),
    "kimi-k2.5": (1_026_879_353_328, 595_147_593_696, 70_272),
    "arch-deepseek_v32": (671_877_929_216, None, 171_776),
    "arch-glm_moe_dsa": (743_911_199_232, None, 219_648),
    "arch-jamba": (51_570_323_328, None, 32_768),
    "arch-zamba": (7_232_490_496, None, 772_096),
    "arch-xlstm": (6_865_424_896, None, 0),
}


def told(name: str) -> Trace:
    config = RunConfig(model=str(CONFIGS / name), weights="random")
    source = resolve(config, lambda *_: None)
    return trace(Ask(name, source.architecture, checkpoint=True, beside=source.beside))


def is_right(name: str, parameters: int, stored: int | str | None, kv: int) -> None:
    found = told(name)
    assert found.parameters == parameters
    assert found.kv_bytes_per_token == kv
    assert "kv_bytes_per_token" not in found.unknown
    if stored == UNKNOWN:
        assert found.weights_bytes is None and found.stored_bytes is None
        assert "NVFP4" in found.unknown["weights_bytes"]
    elif stored is not None:
        assert found.stored_bytes == stored


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_told_of_a_real_config(name: str) -> None:
    is_right(name, *RIGHT[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_what_is_told_of_a_large_one(name: str) -> None:
    is_right(name, *SLOW[name])


def test_windows_and_shared_caches_are_told_layer_by_layer() -> None:
    kinds = {(k.count, k.kv_bytes_per_token, k.window) for k in told("gemma-3n-e4b-text").kinds}
    assert kinds == {(16, 2048, 512), (4, 2048, None), (15, 0, None)}
    beyond = [k for k in told("gemma-4-31b-it").kinds if k.window is None]
    assert sum(k.count * k.kv_bytes_per_token for k in beyond) == 81_920


@pytest.mark.parametrize("name", ["whisper-tiny", "nemotron-super-49b"])
def test_what_cannot_be_run_is_refused_in_a_line(name: str) -> None:
    with pytest.raises(InputError) as problem:
        told(name)
    assert "\n" not in str(problem.value) and ";" in str(problem.value)


EXPERTS = {
    "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 256,
    "intermediate_size": 512, "moe_intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1000,
    "num_experts": 16, "num_experts_per_tok": 2, "dtype": "bfloat16",
    "tie_word_embeddings": False,
}  # fmt: skip
EXPERT_WEIGHTS = 2 * 16 * 3 * 256 * 128
GROUP = {"num_bits": 4, "strategy": "group", "group_size": 128, "symmetric": True}
METHODS: dict[str, tuple[dict[str, Any], int]] = {
    "gptq": (
        {"quant_method": "gptq", "bits": 4, "group_size": 128},
        EXPERT_WEIGHTS // 2 + EXPERT_WEIGHTS // 128 * 2 + EXPERT_WEIGHTS // 256
        + 2 * 16 * 4 * (2 * 256 + 128),
    ),
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 128},
        EXPERT_WEIGHTS // 2 + EXPERT_WEIGHTS // 128 * 2 + EXPERT_WEIGHTS // 256,
    ),
    "bitsandbytes": (
        {"quant_method": "bitsandbytes", "load_in_8bit": True},
        EXPERT_WEIGHTS + 2 * 16 * 4 * (2 * 128 + 256),
    ),
    "compressed-tensors": (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": GROUP}},
            "ignore": ["lm_head", "re:.*self_attn.*"],
        },
        EXPERT_WEIGHTS // 2 + EXPERT_WEIGHTS // 128 * 2,
    ),
}  # fmt: skip


def traced(settings: dict[str, Any], **more: Any) -> Trace:
    config = {**EXPERTS, **settings}
    return trace(Ask("experts", config, checkpoint=True, **more))


@pytest.fixture(scope="module")
def plain() -> Trace:
    return traced({})


@pytest.mark.parametrize("method", METHODS)
def test_experts_count_as_they_are_stored(method: str, plain: Trace) -> None:
    """By hand, of the experts; the attention's matrices are the rest of what is saved."""
    settings, experts = METHODS[method]
    attention = {"ignore": [*settings.get("ignore", []), "lm_head"]}
    kept = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    if method != "compressed-tensors":
        attention = {"modules_to_not_convert": kept}
    found = traced({"quantization_config": {**settings, **attention}})
    stored = found.stored_bytes
    assert stored is not None and plain.stored_bytes is not None
    if method == "gptq":  # which knows no exceptions: attention is in it
        width = 2 * (2 * 256 * 256 + 2 * 256 * 128)
        columns = 2 * (3 * 256 + 256)
        experts += width // 2 + width // 128 * 2 + width // 256 + 4 * columns - 2 * width
    assert stored == plain.stored_bytes - 2 * EXPERT_WEIGHTS + experts


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
PLACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "compression_config": ({"compression_config": FP8}, {}),
    "a part of the config": ({"llm_config": {"quantization_config": FP8}}, {}),
    "GPTQ's own file": ({}, {"quantize_config.json": {"bits": 8, "group_size": 128}}),
    "AWQ's own file": ({}, {"quant_config.json": {"w_bit": 8, "q_group_size": 128}}),
    "ModelOpt's own file": ({}, {"hf_quant_config.json": {"quantization": {"quant_algo": "FP8"}}}),
    "MLX's": ({"quantization": {"bits": 8, "group_size": 64}}, {}),
    "no method": ({"quantization_config": {"quant_algo": "FP8"}}, {}),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_quantisation_is_seen_wherever_it_stands(place: str, plain: Trace) -> None:
    settings, beside = PLACES[place]
    found = traced(settings, beside=beside)
    assert found.quantization
    assert found.stored_bytes is not None and plain.stored_bytes is not None
    assert 0.5 < found.stored_bytes / plain.stored_bytes < 0.75


@pytest.mark.parametrize("nothing", [{}, None])
def test_an_empty_quantisation_is_none(nothing: Any, plain: Trace) -> None:
    assert traced({"quantization_config": nothing}) == plain


@pytest.mark.parametrize("method", ["quip", "nvfp4"])
def test_of_an_unknown_method_no_weights_are_told(method: str, plain: Trace) -> None:
    found = traced({"quantization_config": {"quant_method": method}})
    assert (found.parameters, found.kinds) == (plain.parameters, plain.kinds)
    assert found.weights_bytes is None and method in found.untold


@pytest.mark.parametrize("word", ["Infinity", "NaN", "1e999", '{"__float__": "Infinity"}'])
def test_a_float_that_is_no_json_is_read(word: str, tmp_path: Path) -> None:
    text = json.dumps({**EXPERTS, "time_step_limit": [0.0, "X"]}).replace('"X"', word)
    (tmp_path / "config.json").write_text(text)
    source = resolve(RunConfig(model=str(tmp_path), weights="random"), lambda *_: None)
    found = architecture.read(source).config.time_step_limit[1]
    assert isinstance(found, float) and not found < 1e308


def test_a_pattern_that_is_a_string_is_cut_with_the_layers() -> None:
    config = RunConfig(model=str(CONFIGS / "nemotron-3-nano-30b-a3b"), weights="random")
    source = resolve(config, lambda *_: None)
    layout = architecture.read(source, 6)
    assert (layout.layers, layout.text.num_hidden_layers) == (6, 6)
    assert layout.text.hybrid_override_pattern == "MEMEM*"


def test_a_cut_leaves_no_more_layers_that_share_than_there_were() -> None:
    config = RunConfig(model=str(CONFIGS / "gemma-3n-e4b-text"), weights="random")
    source = resolve(config, lambda *_: None)
    assert architecture.read(source, 6).text.num_kv_shared_layers == 0
    assert architecture.read(source, 22).text.num_kv_shared_layers == 2


def test_what_goes_through_whole_chunks_at_once_is_traced_by_whole_chunks() -> None:
    """xLSTM loops over the tokens of a chunk that is not whole, and is quick otherwise."""
    small = {"hidden_size": 128, "num_blocks": 2, "num_hidden_layers": 2, "num_heads": 2,
             "embedding_dim": 128, "vocab_size": 500}  # fmt: skip
    config = {**json.loads((CONFIGS / "arch-xlstm" / "config.json").read_text()), **small}
    asked = (Shape(1, 512, 4), Shape(1, 500, 4))
    found = trace(Ask("xlstm", config, shapes=asked))
    assert found.notes == ()  # no prompt is too long to be traced
    whole, rest = found.peaks
    assert 0 < rest.total < whole.total
