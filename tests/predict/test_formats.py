"""Bytes of quantised checkpoints, each worked out by hand."""

from typing import Any

import msgspec
import pytest
import torch
import transformers
from torch import nn

from llamatop.engines.quantization import Quantization
from llamatop.errors import InputError
from llamatop.predict import checkpoint, formats
from llamatop.predict.formats import Size
from llamatop.predict.traced import Ask, Shape, Trace
from llamatop.predict.tracer import trace

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
    "dtype": "bfloat16",
}
LAYER = 2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256
"""Weights of a layer's seven matrices: query and output, key and value, gate, up and down."""
PLAIN = 2 * (2 * 1000 * 256 + 5 * 256)
"""Bytes of what stays in bfloat16: embeddings, head and five norms."""
INPUTS = 4 * 256 + 2 * 256 + 512
"""Columns of those seven."""
OUTPUTS = 2 * 256 + 2 * 128 + 2 * 512 + 256
"""Their rows."""
LATER = Shape(8, 4, 8)
"""Its peak is in the last step."""


def traced(
    quantization: dict[str, Any], device: str = "cpu", capability: tuple[int, int] | None = None
) -> Any:
    config = {**CONFIG, "quantization_config": quantization}
    ask = Ask("a checkpoint", config, checkpoint=True, device=device, dtype="bfloat16")
    return trace(msgspec.structs.replace(ask, capability=capability))


def test_a_matrix_in_each_format() -> None:
    shape = (256, 512)  # outputs, inputs
    n = 256 * 512
    four = {"bits": 4, "group_size": 128}
    groups = 256 * 4
    assert formats.gptq(shape, four) == Size(n // 2, groups * 2 + groups // 2 + 512 * 4)
    assert formats.awq(shape, four) == Size(n // 2, groups * 2 + groups // 2)
    assert formats.gptq(shape, {"bits": 8, "group_size": -1}) == Size(n, 256 * 2 + 256 + 512 * 4)
    assert formats.bitsandbytes(shape, {"load_in_8bit": True}) == Size(n, 256 * 4)
    assert formats.bitsandbytes(shape, {"load_in_4bit": True}) == Size(n // 2, n // 64 * 4)
    double = {"load_in_4bit": True, "bnb_4bit_use_double_quant": True}
    assert formats.bitsandbytes(shape, double) == Size(n // 2, n // 64 + n // 64 // 256 * 4)
    assert formats.fp8(shape, {"weight_block_size": [128, 128]}) == Size(n, 2 * 4 * 4)
    assert formats.fp8((130, 130), {"weight_block_size": [128, 128]}) == Size(130 * 130, 4 * 4)
    assert formats.fp8(shape, {"weight_block_size": None}) == Size(n, 4)
    assert formats.fp8((8, *shape), {"weight_block_size": [128, 128]}) == Size(8 * n, 8 * 8 * 4)
    assert formats.mxfp4((32, *shape), {}) == Size(32 * n // 2, 32 * n // 32)


@pytest.mark.parametrize(
    ("weights", "scales"),
    [
        ({"num_bits": 4, "strategy": "group", "group_size": 128}, 256 * 4 * 2),
        (
            {"num_bits": 4, "strategy": "group", "group_size": 128, "symmetric": False},
            256 * 4 * 2 + 256 * 4 // 2,
        ),
        ({"num_bits": 8, "strategy": "channel"}, 256 * 2),
        ({"num_bits": 8, "strategy": "tensor"}, 2),
        ({"num_bits": 8, "strategy": "block", "block_structure": [128, 128]}, 2 * 4 * 2),
    ],
)
def test_compressed_tensors(weights: dict[str, Any], scales: int) -> None:
    size = 256 * 512 * weights["num_bits"] // 8
    assert formats.compressed((256, 512), weights) == Size(size, scales)


def test_torchao_by_the_name_of_its_configuration() -> None:
    four = {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 64}}
    assert formats.torchao((256, 512), four) == Size(256 * 512 // 2, 256 * 8 * 4)
    assert formats.torchao((256, 512), {"_type": "Int8WeightOnlyConfig"}) == Size(256 * 512, 1024)
    assert formats.torchao((256, 512), {"_type": "SomethingNew"}) is None


def test_gptq_in_memory() -> None:
    found = traced({"quant_method": "gptq", "bits": 4, "group_size": 128})
    scales = 2 * (LAYER // 128 * 2 + LAYER // 128 // 2 + INPUTS * 4)
    assert found.weights_bytes == PLAIN + 2 * LAYER // 2 + scales
    assert found.scales_bytes == scales
    assert found.stored_bytes == found.weights_bytes
    assert found.parameters == 2 * LAYER + PLAIN // 2
    assert (found.quantization, found.dtype) == ("gptq", "bfloat16")
    assert found.read_bytes == found.weights_bytes - 2 * (1000 * 256)  # looked up, not read


def test_what_is_not_converted_stays() -> None:
    whole = traced({"quant_method": "awq", "bits": 4, "group_size": 128})
    part = traced(
        {
            "quant_method": "awq",
            "bits": 4,
            "group_size": 128,
            "modules_to_not_convert": ["model.layers.0.mlp", "o_proj"],
        }
    )
    kept = 3 * 512 * 256 + 2 * 256 * 256
    packed = kept // 2 + kept // 128 * 2 + kept // 128 // 2
    assert part.weights_bytes == whole.weights_bytes - packed + 2 * kept
    assert part.parameters == whole.parameters


def test_compressed_tensors_are_unpacked_in_the_first_forward() -> None:
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "strategy": "channel"}}
    found = traced(
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": group},
            "ignore": ["lm_head", "re:.*down_proj"],
        }
    )
    down = 512 * 256
    assert found.weights_bytes == 2 * found.parameters
    assert found.stored_bytes == PLAIN + 2 * (LAYER - down + (OUTPUTS - 256) * 2 + 2 * down)
    assert found.quantization == "compressed-tensors, unpacked"


def test_fp8_is_unpacked_without_a_gpu_that_knows_it() -> None:
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    found = traced(fp8)
    assert found.weights_bytes == 2 * found.parameters
    assert found.stored_bytes == PLAIN + 2 * (LAYER + LAYER // 128**2 * 4)
    known, old = (traced(fp8, "cuda", (major, 0)) for major in (9, 8))
    assert known.weights_bytes == known.stored_bytes == found.stored_bytes
    assert old.weights_bytes == found.weights_bytes


def test_bitsandbytes_checkpoints() -> None:
    eight = traced({"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False})
    assert eight.weights_bytes == PLAIN + 2 * (LAYER + 4 * OUTPUTS)
    skipped = traced(
        {
            "quant_method": "bitsandbytes",
            "load_in_8bit": True,
            "llm_int8_skip_modules": ["lm_head", "k_proj", "v_proj"],
        }
    )
    some = 2 * 128 * 256
    held = PLAIN + 2 * (LAYER - some + 4 * (OUTPUTS - 256) + 2 * some)
    assert skipped.weights_bytes == held


MXFP4 = {
    "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "hidden_size": 64,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 500, "num_local_experts": 4,
    "num_experts_per_tok": 2, "sliding_window": 32,
    "layer_types": ["sliding_attention", "full_attention"],
    "quantization_config": {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                   "model.embed_tokens", "lm_head"],
    },
}  # fmt: skip
EXPERTS = 2 * 4 * (64 * 128 + 64 * 64)
"""Weights of both layers' experts."""


def test_experts_in_mxfp4_are_counted_as_stored_and_as_unpacked() -> None:
    found = trace(Ask("small", MXFP4, checkpoint=True, dtype="bfloat16"))
    assert found.weights_bytes == 2 * found.parameters
    assert found.stored_bytes == 2 * (found.parameters - EXPERTS) + EXPERTS // 2 + EXPERTS // 32
    random = trace(Ask("small", MXFP4, dtype="bfloat16"))
    assert (random.quantization, random.stored_bytes) == ("", None)


def test_packed_experts_are_read_where_they_lie() -> None:
    def on(capability: tuple[int, int]) -> Trace:
        ask = Ask("small", MXFP4, None, "bfloat16", "cuda", (LATER,), checkpoint=True)
        return trace(msgspec.structs.replace(ask, capability=capability))

    packed, unpacked = on((8, 9)), on((7, 0))
    assert packed.weights_bytes == packed.stored_bytes == unpacked.stored_bytes
    assert packed.quantization == "mxfp4" and "kernels" in packed.quantization_note
    assert unpacked.weights_bytes == 2 * unpacked.parameters
    gathered = LATER.batch * 2 * 2 * EXPERTS // (2 * 4)  # two of each request, in bfloat16
    assert packed.peaks[0].total < gathered < unpacked.peaks[0].total


def test_an_unknown_method_is_told_in_one_line() -> None:
    for quantization in (
        {"quant_method": "from the future"},
        {"quant_method": "torchao", "quant_type": {"default": {"_type": "New"}}},
    ):
        found = traced(quantization)
        assert found.weights_bytes is None and found.stored_bytes is None
        assert found.untold == found.unknown["weights_bytes"] and "\n" not in found.untold


def test_settings_that_make_no_sense_are_told_in_one_line() -> None:
    with pytest.raises(InputError, match="a checkpoint") as told:
        traced({"quant_method": "gptq", "bits": "four"})
    assert "\n" not in str(told.value)


def test_only_what_is_inside_layers_is_gptq() -> None:
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    found = checkpoint.read(Quantization("gptq", {"bits": 4}), model, "cpu")
    linear = [part for part in model.model.layers.modules() if isinstance(part, nn.Linear)]
    assert found.sizes.keys() == {id(part.weight) for part in linear}
