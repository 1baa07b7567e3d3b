"""Caches that are allocated once: the tokens of `generate()`, and nothing is copied to grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from llamatop.engines import caches

from .conftest import load_tiny, write_config

LLAMA: dict[str, Any] = {}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 8}
GEMMA = {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 16,
         "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}  # fmt: skip
PROMPTS, TOKENS = 20, 12


@pytest.mark.parametrize(("changes", "allocated"), [(LLAMA, 2), (MISTRAL, 0), (GEMMA, 1)])
def test_the_tokens_are_those_of_generate(
    tmp_path: Path, changes: dict[str, Any], allocated: int
) -> None:
    model = load_tiny(write_config(tmp_path, **changes)).model
    ids = torch.arange(3 * PROMPTS).reshape(3, PROMPTS) % 500 + 3
    mask = torch.ones_like(ids)
    mask[1, :5] = 0  # a shorter prompt, padded at its left
    asked = {"input_ids": ids, "attention_mask": mask, "max_new_tokens": TOKENS}
    whole = caches.whole(model, model.config, PROMPTS + TOKENS - 1)
    with torch.inference_mode():
        assert torch.equal(model.generate(**asked, past_key_values=whole), model.generate(**asked))
    assert sum(isinstance(layer, caches.WholeLayer) for layer in whole.layers) == allocated
    assert whole.get_seq_length() == PROMPTS + TOKENS - 1


def test_all_lies_where_it_lay_and_what_does_not_fit_is_copied() -> None:
    layer, growing = caches.WholeLayer(6), DynamicCache()
    places = set()
    for tokens in (3, 1, 2, 4):
        states = torch.randn(2, 2, tokens, 4)
        kept = layer.update(states, -states)
        for mine, theirs in zip(kept, growing.update(states, -states, 0), strict=True):
            assert torch.equal(mine, theirs)
        places.add(kept[0].data_ptr())
    assert len(places) == 2  # of ten tokens the last four had no room
    assert layer.get_seq_length() == 10
