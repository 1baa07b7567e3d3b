"""Published models with the oddities of `test_odd_configs.py` that are not there.

Right values are their publishers', or follow by hand from published sizes, as is said of each.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from llamatop.catalog import find
from llamatop.predict.traced import Ask, Trace
from llamatop.predict.tracer import trace

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
MODELOPT = {
    "hf_quant_config.json": {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
}


def told(raw: dict[str, Any], beside: dict[str, Any] | None = None) -> Trace:
    return trace(Ask("M", raw, checkpoint=True, beside=beside or {}))


def published(name: str, **other: Any) -> dict[str, Any]:
    return json.loads((CONFIGS / name / "config.json").read_text()) | other


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "layers", "right"), [
    (768, 24, 128_989_632), (2560, 64, 2_702_599_680),
])  # fmt: skip
def test_floats_that_are_no_json_in_other_mambas(hidden: int, layers: int, right: int) -> None:
    """mamba2-130m and mamba2-2.7b: no layer but Mamba-2's, all sizes from the width."""
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_heads": hidden // 32}
    found = told(published("mamba2-780m-resaved", **sizes))
    assert (found.parameters, found.kv_bytes_per_token) == (right, 0)


LLAMA = 131_072
"""Keys and values of 32 layers, 8 heads of 128, in 16 bits."""
MISTRAL = {"vocab_size": 32768, "model_type": "mistral", "architectures": ["MistralForCausalLM"]}


@pytest.mark.slow
@pytest.mark.parametrize(("other", "right", "stored"), [
    ({}, 8_030_261_248, 9_081_200_640),
    (MISTRAL, 7_248_023_552, 7_516_725_248),
])  # fmt: skip
def test_fp8_that_only_a_file_beside_tells(other: dict[str, Any], right: int, stored: int) -> None:
    """Llama 3.1 8B and Mistral 7B v0.3: a byte for each weight of a layer's matrices, two for
    each of the rest."""
    known = find("meta-llama/Llama-3.1-8B-Instruct")
    assert known is not None
    found = told(known.architecture() | other, MODELOPT)
    assert (found.parameters, found.stored_bytes) == (right, stored)
    assert found.kv_bytes_per_token == LLAMA


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "sharing", "beyond"), [(30, 10, 4), (30, 5, 5)])
def test_other_gemmas_whose_last_layers_share_a_cache(
    layers: int, sharing: int, beyond: int
) -> None:
    """The first as Gemma 3n E2B: of those that do not share, each fifth has no window."""
    raw = published("gemma-3n-e4b-text", num_hidden_layers=layers, num_kv_shared_layers=sharing)
    for name in ("layer_types", "activation_sparsity_pattern"):
        raw[name] = raw[name][:layers]
    found = told(raw)
    a_layer = 2 * 2 * 256 * 2
    assert found.kv_bytes_per_token == (layers - sharing) * a_layer
    whole = [kind for kind in found.kinds if kind.window is None]
    assert sum(kind.count * kind.kv_bytes_per_token for kind in whole) == beyond * a_layer


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "attention"), [
    ("M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-", 4), ("MEM*EM*E*MEM", 3),
])  # fmt: skip
def test_other_patterns_as_strings(pattern: str, attention: int) -> None:
    """The first is Nemotron-H 8B's. A star is attention; 2 heads of 128 here."""
    layers = len(pattern)
    raw = published(
        "nemotron-3-nano-30b-a3b", hybrid_override_pattern=pattern, num_hidden_layers=layers,
        n_routed_experts=8, vocab_size=4096,
    )  # fmt: skip
    found = told(raw)
    assert found.layers == layers
    assert found.kv_bytes_per_token == attention * 2 * 2 * 128 * 2
    cut = trace(Ask("M", raw, layers=4, checkpoint=True))
    assert (cut.layers, cut.kv_bytes_per_token) == (4, pattern[:4].count("*") * 1024)


QWEN = {
    "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048,
    "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
    "num_experts_per_tok": 8, "vocab_size": 151936, "tie_word_embeddings": False,
    "dtype": "bfloat16",
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2,
    "vocab_size": 32000, "tie_word_embeddings": False, "dtype": "bfloat16",
}  # fmt: skip
FOUR = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("method", FOUR)
@pytest.mark.parametrize(("raw", "right", "kv"), [
    (QWEN, 30_532_122_624, 98_304), (MIXTRAL, 46_702_792_704, 131_072),
])  # fmt: skip
def test_published_mixtures_in_4_bits(
    raw: dict[str, Any], right: int, kv: int, method: str
) -> None:
    """Qwen3-30B-A3B and Mixtral 8x7B: 4 to 4.75 bits a weight but for the embedding tables."""
    found = told(raw | {"quantization_config": FOUR[method]})
    assert (found.parameters, found.kv_bytes_per_token) == (right, kv)
    tables = 2 * raw["vocab_size"] * raw["hidden_size"]
    assert found.stored_bytes is not None
    bits = 8 * (found.stored_bytes - 2 * tables) / (right - tables)
    assert 4 <= bits <= 4.75, bits
