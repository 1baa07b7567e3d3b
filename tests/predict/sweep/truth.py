"""What a small model is: its parameters counted, its cache looked at after real forwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
import transformers

from tests.predict.sweep.small import WINDOW

_CACHES = (
    "past_key_values",
    "cache_params",
    "mems",
    "state",
    "past_buckets_states",
)
_SHORT, _LONG = 8, 24
"""Tokens of two prompts within every window."""
_BEYOND = (3 * WINDOW, 4 * WINDOW)
"""And beyond them."""


def model_of(config: Any, name: str, dtype: torch.dtype = torch.float32) -> Any:
    """The model of a config, its weights small numbers."""
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    return kind._from_config(config, dtype=dtype).eval()


def parameters(model: Any) -> int:
    """Tied ones once; with the buffers of Gemma 4 that its publisher counts."""
    names = (".layer_scalar", ".std_scale", ".std_bias")
    learned = (b.numel() for name, b in model.named_buffers() if name.endswith(names))
    return sum(p.numel() for p in {id(p): p for p in model.parameters()}.values()) + sum(learned)


def growth(model: Any, lengths: tuple[int, int] = (_SHORT, _LONG)) -> float:
    """Bytes that each further token of a prompt adds to the cache in bfloat16.

    Of a model in 32 bits, 2 for each number, whatever it would keep in 32.
    """
    short, long = (held(model, n) for n in lengths)
    share = 2 if model.dtype == torch.bfloat16 else 1
    return share * (long - short) / 2 / (lengths[1] - lengths[0])


def beyond(model: Any) -> float:
    """The same of prompts longer than each window."""
    return growth(model, _BEYOND)


@torch.inference_mode()
def held(model: Any, tokens: int) -> int:
    """Bytes in the cache after a prompt."""
    ids = torch.arange(3, 3 + tokens).remainder(100).add(100)[None]
    out = model(input_ids=ids, use_cache=True)
    caches = [getattr(out, name, None) for name in _CACHES]
    if all(cache is None for cache in caches):  # some tell none of theirs, but fill one given
        caches = [transformers.DynamicCache()]
        with suppress(TypeError):
            model(input_ids=ids, use_cache=True, past_key_values=caches[0])
    return sum(t.nbytes for t in _tensors(caches))


def _tensors(held: Any) -> Iterator[torch.Tensor]:
    """Every tensor reachable from there, once."""
    seen: set[int] = set()
    todo = [held]
    while todo:
        one = todo.pop()
        if id(one) in seen or one is None or isinstance(one, (str, int, float, type)):
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, (list, tuple, set)):
            todo += one
        elif type(one).__module__.startswith("transformers") and "Config" not in type(one).__name__:
            todo += vars(one).values()
