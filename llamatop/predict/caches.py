"""The caches of a model while it is traced: made as `generate` makes them, grown, and weighed.

A cache that has a layer for each of the model's is known layer by layer; of any other only what the
whole forward holds is known. Works on fake tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import torch
import transformers
from transformers import cache_utils

from llamatop.engines import caches as engine_caches

NAMES = ("past_key_values", "cache_params", "state", "mems", "past_buckets_states")
"""Under which models return what they cache, as transformers' `generate` looks for it."""


class Cached(NamedTuple):
    """What one layer, or a part of what it caches, keeps of one request."""

    bytes_per_token: int
    window: int | None
    """Tokens after which it stops growing; None: never."""


def fresh(model: Any, text: Any, tokens: int | None = None) -> Any:
    """An empty cache for a generation; None where the model makes one of its own.

    `tokens`: those that it is allocated for at once; None: it grows."""
    if tokens is not None and (whole := engine_caches.whole(model, text, tokens)) is not None:
        return whole
    if not model._supports_default_dynamic_cache():
        return None
    return transformers.DynamicCache(config=text)


def name_of(takes: Collection[str]) -> str | None:
    """Of the arguments of a forward the one that takes its cache; None: there is none."""
    return next((name for name in NAMES if name in takes), None)


def left_by(outputs: Any) -> Any:
    """What a forward leaves for the next one; None: nothing."""
    return next((outputs[name] for name in NAMES if outputs.get(name) is not None), None)


def layers_of(cache: Any, count: int) -> list[Any]:
    """Of the first `count` layers what each caches; [] where that is not told apart."""
    parts = [cache, *vars(cache).values()] if hasattr(cache, "__dict__") else [cache]
    if isinstance(
        cache, cache_utils.Cache
    ):  # whose list of layers may end with the last that has one
        parts = [[*cache.layers, *[None] * (count - len(cache.layers))], *vars(cache).values()]
        parts = [part for part in parts if part is not cache.layers]
    lists = [found for part in parts if (found := _by_layer(part, count))]
    if len(lists) < 2:
        return lists[0] if lists else []
    return list(zip(*lists, strict=True))


def _by_layer(part: Any, count: int) -> list[Any]:
    if isinstance(part, dict):
        part = [part[i] for i in range(count) if i in part]
    told = isinstance(part, list | tuple) and len(part) >= count > 0
    return list(part[:count]) if told and any(True for one in part for _ in tensors(one)) else []


def can_grow(layer: Any) -> bool:
    """Whether `grow` knows that kind of cache."""
    return is_plain(layer) or _indexed(layer)


def grow(layer: Any, tokens: int) -> None:
    """Let a cache have so many more tokens, the last one as a step of its own, after which a
    window holds no more than itself. One without keys and values stays as it is."""
    if getattr(layer, "keys", None) is None or layer.keys.dim() != 4:
        return
    for more in (tokens - 1, 1) if tokens > 0 else ():
        if more > 0:
            kept = (layer.keys, layer.values)
            layer.update(*(t.new_empty((*t.shape[:2], more, t.shape[3])) for t in kept))
            if _indexed(layer):
                keys = layer.indexer_keys
                layer.update_indexer(keys.new_empty((keys.shape[0], more, keys.shape[2])))


def bytes_per_token(layer: Any) -> int:
    """Of one request in a plain cache."""
    keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
    if keys is None or values is None or keys.dim() < 3:
        return 0
    both = keys.nbytes + (0 if values is keys else values.nbytes)
    return int(both // (keys.shape[0] * max(int(keys.shape[-2]), 1)))


def cannot_loop(layer: Any) -> bool:
    """Whether it is attention's alone, which goes through no token by itself."""
    return not isinstance(layer, cache_utils.LinearAttentionCacheLayerMixin)


def growth(plain: Any, shorter: Any, longer: Any, more: int) -> list[Cached]:
    """What a layer keeps, from its caches after a short prompt and two beyond its window, the
    second of which is so many tokens longer."""
    window = window_of(plain)
    if is_plain(plain):
        return [Cached(bytes_per_token(plain), window)]
    beyond = Cached(round((held_bytes(longer) - held_bytes(shorter)) / more), None)
    within = Cached(bytes_per_token(plain), window)
    return [one for one in (beyond, within) if one.window or one is beyond]


def window_of(layer: Any) -> int | None:
    """Tokens after which a cache stops growing; None: never."""
    size = getattr(layer, "sliding_window", None)
    return size if isinstance(size, int) else None


def held_bytes(layer: Any) -> int:
    """What its tensors hold, each once, views by their own size."""
    return sum(int(tensor.nbytes) for tensor in {id(one): one for one in tensors(layer)}.values())


def storage_sizes(layer: Any) -> list[int]:
    """Bytes of what a layer's cache really holds; a window's view keeps all of what it looks at."""
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors(layer)}
    return list(storages.values())


def tensors(part: Any) -> Iterator[torch.Tensor]:
    """All that a part of a cache holds, in lists and dicts too."""
    if isinstance(part, torch.Tensor):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from tensors(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from tensors(value)
    elif isinstance(part, engine_caches.WholeLayer) or type(part).__module__.startswith(
        "transformers."
    ):
        yield from tensors({k: v for k, v in vars(part).items() if k != "config"})


def is_plain(layer: Any) -> bool:
    """Whether it holds keys and values for each token, states of one size, or nothing."""
    known = (
        cache_utils.DummyLayer,
        cache_utils.LinearAttentionLayer,
        cache_utils.DynamicLayer,
        engine_caches.WholeLayer,
        cache_utils.DynamicSlidingWindowLayer,
        cache_utils.LinearAttentionAndFullAttentionLayer,
        cache_utils.LinearAttentionAndSlidingWindowAttentionLayer,
    )
    return type(layer) in known and (not _has_keys(layer) or layer.keys.dim() == 4)


def _indexed(layer: Any) -> bool:
    return type(layer) is cache_utils.DynamicIndexedLayer and layer.indexer_keys is not None


def _has_keys(layer: Any) -> bool:
    return getattr(layer, "keys", None) is not None
