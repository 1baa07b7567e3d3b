"""How large a server's room for requests has to be: tokens, blocks, bytes. Pure, but for a
model's `config.json`."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

from llamatop.engines import config_file
from llamatop.engines.resolve import Source, text_config

LONG = 4096
"""Tokens of a request whose length is not known beforehand."""

STEP = 256
"""Contexts are a multiple of so many tokens: llama.cpp makes them one, and transformers' blocks
have as many."""

_LEAST = 512
"""What getting to know a server takes, the longest of its texts."""

_BYTES = {"float32": 4}
"""Of one number of a cache, by the dtype of the model; 2 of any other."""


def roomy(tokens: int) -> int:
    """A context in which a request of so many tokens fits, with what a template adds."""
    return STEP * ceil(max(tokens + 32, _LEAST) / STEP)


def blocks(slots: int, context: int) -> int:
    """Blocks of `STEP` tokens for so many requests, one to spare for each."""
    return slots * (ceil(context / STEP) + 1)


def within(context: int | None, folder: Path | None) -> int | None:
    """A context, no longer than the model has."""
    facts = _facts(folder)
    most = Source("", facts, None).context if facts is not None else None
    return context if context is None or most is None else min(context, most)


def kv_bytes(folder: Path | None, tokens: int) -> int | None:
    """Bytes of the keys and values of so many tokens, every layer holding all of them; None: not
    known of such a model."""
    facts = text_config(_facts(folder) or {})
    heads = facts.get("num_key_value_heads", facts.get("num_attention_heads"))
    layers, size = facts.get("num_hidden_layers"), facts.get("head_dim") or _head_size(facts)
    each = _BYTES.get(str(facts.get("dtype") or facts.get("torch_dtype")), 2)
    if isinstance(heads, int) and isinstance(layers, int) and isinstance(size, int):
        return 2 * layers * heads * size * each * tokens
    return None


def _head_size(facts: dict[str, Any]) -> int | None:
    hidden, heads = facts.get("hidden_size"), facts.get("num_attention_heads")
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) else None


def _facts(folder: Path | None) -> dict[str, Any] | None:
    try:
        return None if folder is None else config_file.read(folder / "config.json")
    except (OSError, ValueError, RecursionError):
        return None
