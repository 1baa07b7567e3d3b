"""Caches on a CPU that are allocated once for a generation, where `generate()` would grow them by a
copy of all at each token. Knows the layers that keep every token; others stay as transformers has
them, and so does all on other devices.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
import transformers
from transformers.cache_utils import DynamicLayer


class WholeLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, with room for all tokens from the first on."""

    def __init__(self, tokens: int) -> None:
        """`tokens`: of the prompt and what is generated; more of them are held by copies."""
        super().__init__()
        self._tokens = tokens
        self._room: tuple[torch.Tensor, ...] = ()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write them, of shape (…, new tokens, size), behind those there are; views of all."""
        before, new = self.get_seq_length(), (key_states, value_states)
        after = before + key_states.shape[-2]
        if after > self._tokens:
            return super().update(*new, *args, **kwargs)  # type: ignore[no-any-return]
        if not self.is_initialized:
            self.lazy_initialization(*new)
            self._room = tuple(t.new_empty((*t.shape[:-2], self._tokens, t.shape[-1])) for t in new)
        for room, states in zip(self._room, new, strict=True):
            room.narrow(-2, before, after - before).copy_(states)
        self.keys, self.values = (room.narrow(-2, 0, after) for room in self._room)
        return self.keys, self.values


def whole(model: Any, text: Any, tokens: int) -> Any:
    """A cache of so many tokens for each request, empty, as `generate()` would make it otherwise;
    None where it would make none. `text`: the config of the language model."""
    if not model._supports_default_dynamic_cache() or model.config.is_encoder_decoder:
        return None
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return None
    cache = transformers.DynamicCache(config=text)
    cache.layers = [
        WholeLayer(tokens) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache
