"""Chooses tokens as `generate` does, on fake tensors, so that what it holds meanwhile is counted.

The scores are copied in 32 bits whatever the model's dtype; a checkpoint that samples sorts and
masks that copy several times over.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

from llamatop.engines.loading import SAMPLING, generation_config


class Sampling:
    """How an engine chooses from a model's scores."""

    def __init__(self, model: Any, settings: dict[str, Any]) -> None:
        """`settings`: the checkpoint's own `generation_config.json`; empty: the model's usual."""
        known = {name: settings[name] for name in SAMPLING if name in settings}
        given = transformers.GenerationConfig(**known) if settings else model.generation_config
        model.generation_config = generation_config(given)
        prepared, _ = model._prepare_generation_config(None)
        self._process = model._get_logits_processor(prepared)
        self._samples = bool(prepared.do_sample)
        self._held: dict[str, torch.Tensor] = {}
        """What `generate` still holds of a step while it goes through the next."""

    def choose(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`ids` of shape (requests, tokens), `scores` (requests, vocabulary); gives (requests,)."""
        held = self._held
        held["logits"] = scores.to(copy=True, dtype=torch.float32)
        held["scores"] = self._process(ids, held["logits"])
        if not self._samples:
            return torch.argmax(held["scores"], dim=-1)
        held["shares"] = torch.softmax(held["scores"], dim=-1)
        noise = torch.empty_like(held["shares"])  # `multinomial` makes one inside itself
        return torch.argmax(noise, dim=-1)

    def held_sizes(self) -> list[int]:
        """Bytes of the storages that are held from the last step."""
        storages = {t.untyped_storage()._cdata: t.untyped_storage() for t in self._held.values()}
        return [storage.nbytes() for storage in storages.values()]

    def forget(self) -> None:
        """Another generation begins."""
        self._held.clear()
