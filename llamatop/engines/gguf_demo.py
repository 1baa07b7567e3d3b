"""The bundled model as a GGUF file, for llama.cpp: weights, tokenizer and chat template.

Weights are written as float32, so that llama.cpp's greedy text is transformers', or as they are
stored. Writes Llamas
like the bundled one alone: one safetensors file in bfloat16, and GPT-2's way to cut text before
BPE. Knows no server. Needs the package `gguf` (`pip install gguf`).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from llamatop.catalog import demo_folder
from llamatop.errors import InputError

Matrix = npt.NDArray[np.float32]

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Of transformers' Llama, as llama.cpp names them (`gguf-py/gguf/constants.py`)."""


def demo_gguf(path: Path) -> Path:
    """Write the bundled model to `path`, whole or not at all; 19 MB. InputError without `gguf`."""
    return write_gguf(demo_folder(), path, "demo")


def kept_demo(folder: Path) -> Path:
    """The bundled model as GGUF in a folder, written once; InputError where it cannot be."""
    weights = (demo_folder() / "model.safetensors").read_bytes()
    path = folder / f"demo-{hashlib.sha256(weights).hexdigest()[:12]}.gguf"
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return demo_gguf(path)
    except OSError as error:
        raise InputError(f"{folder}: the bundled model cannot be written there: {error}") from None


def write_gguf(
    folder: Path, path: Path, name: str, dtype: Literal["float32", "bfloat16"] = "float32"
) -> Path:
    """Write a folder's Llama, as the module says; InputError where `gguf` is not installed.

    In bfloat16 its norms are float32 nevertheless, as llama.cpp wants them.
    """
    try:
        import gguf  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "llama.cpp reads GGUF, which the package gguf writes: pip install gguf"
        ) from None
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    writer = gguf.GGUFWriter(part, "llama")
    config = json.loads((folder / "config.json").read_bytes())
    _add_shape(writer, config, name)
    kinds = gguf.LlamaFileType
    writer.add_file_type(kinds.ALL_F32 if dtype == "float32" else kinds.MOSTLY_BF16)
    _add_tokenizer(writer, config, folder)
    for tensor, values in _tensors(folder, config):
        if dtype == "bfloat16" and values.ndim > 1:
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(tensor, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return part.replace(path)


def _add_shape(writer: Any, config: dict[str, Any], name: str) -> None:
    writer.add_name(name)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def _add_tokenizer(writer: Any, config: dict[str, Any], folder: Path) -> None:
    """Byte-level BPE; the sign before a text and the ends of one are those of the folder."""
    from gguf import TokenType  # noqa: PLC0415

    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    kinds = [TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(True)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


def _tensors(folder: Path, config: dict[str, Any]) -> list[tuple[str, Matrix]]:
    """Every tensor by llama.cpp's name; rows of queries and keys in the order of its rotation."""
    data = (folder / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = msgspec.json.decode(data[8:start])
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    found = []
    for name, facts in header.items():
        if name == "__metadata__":
            continue
        first, last = facts["data_offsets"]
        values = _float32(data[start + first : start + last], facts["dtype"], facts["shape"])
        for letter, count in heads.items():
            if f".{letter}_proj." in name:
                values = _interleaved(values, count)
        found.append((_renamed(name), values))
    return found


def _renamed(name: str) -> str:
    """`model.layers.3.mlp.up_proj.weight` as `blk.3.ffn_up.weight`."""
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        _, _, layer, stem = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[stem]}.weight"
    return f"{NAMES[stem]}.weight"


def _float32(data: bytes, dtype: str, shape: list[int]) -> Matrix:
    """bfloat16 is the upper half of a float32."""
    if dtype != "BF16":
        raise InputError(f"a tensor of {dtype}: the bundled model is of BF16")
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)


def _interleaved(rows: Matrix, heads: int) -> Matrix:
    """A head's halves (which transformers rotates by one another) as neighbours (llama.cpp)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
