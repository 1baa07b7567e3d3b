"""GGUF files for tests, written by the format's own description: a header, then zeros.

Independent of what reads them in llamatop. Zeros are a hole in the file, so that a large model
takes no room; llama.cpp runs such a one, and says nothing of sense.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

F32, F16, Q4_0, Q8_0, Q4_K, Q5_0, Q6_K = 0, 1, 2, 8, 12, 6, 14
_INT32 = 5
BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q8_0: (32, 34), Q5_0: (32, 22)} | {
    Q4_K: (256, 144),
    Q6_K: (256, 210),
}
ALIGNMENT = 32

Tensor = tuple[str, int, tuple[int, ...]]
"""Name, type, shape as ggml counts: the length of a row first."""


def write(
    path: Path, settings: dict[str, Any], tensors: Iterable[Tensor], order: str = "<"
) -> Path:
    """Write a file; int is UINT32, in a list INT32, as llama.cpp's converter has them."""
    head = header(settings, tensors, order)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(_padded(len(head)) + sum(_padded(_size(one)) for one in tensors))
    return path


def header(settings: dict[str, Any], tensors: Iterable[Tensor], order: str = "<") -> bytes:
    tensors = list(tensors)
    parts = [b"GGUF", struct.pack(f"{order}IQQ", 3, len(tensors), len(settings))]
    parts += [_text(key, order) + _value(value, order) for key, value in settings.items()]
    place = 0
    for one in tensors:
        name, kind, shape = one
        parts.append(_text(name, order) + struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape))
        parts.append(struct.pack(f"{order}IQ", kind, place))
        place += _padded(_size(one))
    return b"".join(parts)


def _text(text: str, order: str) -> bytes:
    return struct.pack(f"{order}Q", len(text.encode())) + text.encode()


def _value(value: Any, order: str) -> bytes:
    if isinstance(value, list):
        kind = _INT32 if type(value[0]) is int else _kind(value[0])
        count = struct.pack(f"{order}IIQ", 9, kind, len(value))
        return count + b"".join(_bare(one, order) for one in value)
    return struct.pack(f"{order}I", _kind(value)) + _bare(value, order)


def _kind(value: Any) -> int:
    return {bool: 7, int: 4, float: 6, str: 8}[type(value)]


def _bare(value: Any, order: str) -> bytes:
    if isinstance(value, str):
        return _text(value, order)
    return struct.pack(order + {7: "?", 4: "I", 6: "f"}[_kind(value)], value)


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _size(tensor: Tensor) -> int:
    numbers, size = BLOCKS[tensor[1]]
    return prod(tensor[2]) // numbers * size


def transformer(  # noqa: PLR0917
    name: str = "llama",
    hidden: int = 256,
    inner: int = 704,
    layers: int = 5,
    heads: int = 4,
    shared: int = 2,
    size: int = 64,
    tokens: int = 4096,
    kind: int = F16,
    **more: Any,
) -> tuple[dict[str, Any], list[Tensor]]:
    """Settings and tensors of a decoder with tied embeddings; `more` are settings of its own."""
    own = {
        "context_length": 32768,
        "embedding_length": hidden,
        "block_count": layers,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.head_count_kv": shared,
        "attention.key_length": size,
        "attention.value_length": size,
        "attention.layer_norm_rms_epsilon": 1e-6,
        "rope.dimension_count": size,
    } | {key.replace("__", "."): value for key, value in more.items()}
    settings = {"general.architecture": name} | {f"{name}.{k}": v for k, v in own.items()}
    return settings | _words(tokens), _tensors(
        name, hidden, inner, layers, heads, shared, size, tokens, kind
    )


def _words(count: int) -> dict[str, Any]:
    """A vocabulary as SentencePiece's: what must be, every byte, and words."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256))]
    words += [f"▁w{n}" for n in range(len(words), count)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.scores": [0.0] * count,
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (count - 259)],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def _tensors(  # noqa: PLR0917
    name: str,
    hidden: int,
    inner: int,
    layers: int,
    heads: int,
    shared: int,
    size: int,
    tokens: int,
    kind: int,
) -> list[Tensor]:
    norms = {"attn_norm": hidden, "ffn_norm": hidden}
    if name == "gemma3":
        norms |= {"attn_q_norm": size, "attn_k_norm": size}
        norms |= {"post_attention_norm": hidden, "post_ffw_norm": hidden}
    matrices = {
        "attn_q": (hidden, heads * size),
        "attn_k": (hidden, shared * size),
        "attn_v": (hidden, shared * size),
        "attn_output": (heads * size, hidden),
        "ffn_gate": (hidden, inner),
        "ffn_up": (hidden, inner),
        "ffn_down": (inner, hidden),
    }
    found: list[Tensor] = [
        ("token_embd.weight", kind, (hidden, tokens)),
        ("output_norm.weight", F32, (hidden,)),
    ]
    for n in range(layers):
        found += [(f"blk.{n}.{key}.weight", F32, (width,)) for key, width in norms.items()]
        found += [(f"blk.{n}.{key}.weight", kind, shape) for key, shape in matrices.items()]
    return found
