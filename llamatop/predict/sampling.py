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

    def choose(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`ids` of shape (requests, tokens), `scores` (requests, vocabulary); gives (requests,)."""
        scores = scores.to(copy=True, dtype=torch.float32)
        processed = self._process(ids, scores)
        if not self._samples:
            return torch.argmax(processed, dim=-1)
        shares = torch.softmax(processed, dim=-1)
        noise = torch.empty_like(shares)  # `multinomial` makes one inside itself
        return torch.argmax(noise, dim=-1)
