"""Random models have the published sizes, usable values and no untouched memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from llamatop.catalog import KnownModel, find, known_models
from llamatop.engines import architecture
from llamatop.engines.devices import Place
from llamatop.engines.random_weights import fill, random_model, weight_bytes
from llamatop.engines.resolve import Source
from tests.engines.conftest import TINY, load_tiny, silent, write_config

CPU = torch.device("cpu")


def layout(model: str, config: dict[str, Any], layers: int | None = None) -> architecture.Layout:
    return architecture.read(Source(model, config, None), layers)


def shrunk(model: KnownModel) -> dict[str, Any]:
    """The architecture with few and narrow layers."""
    config = model.architecture()
    text = config.get("text_config", config)
    small = {"hidden_size": 64, "intermediate_size": 128, "intermediate_size_mlp": 128}
    small |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "ffn_dim": 128}
    small |= {"word_embed_proj_dim": 64, "vocab_size": 512}
    text |= {name: size for name, size in small.items() if name in text}
    text |= {name: None for name in text if name.endswith("_token_id")}
    if "vision_config" in config:
        sides = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
        sides |= {"projector_input_dim": 32, "projector_output_dim": 32, "vision_output_dim": 32}
        config["vision_config"] |= sides | {"num_hidden_layers": 1}
    return config


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.id)
def test_whole_models_have_the_published_parameters(model: KnownModel) -> None:
    shape = layout(model.id, model.architecture())
    with torch.device("meta"):
        whole = shape.kind._from_config(shape.config, dtype=torch.bfloat16)
    assert sum(parameter.numel() for parameter in whole.parameters()) == model.parameters
    assert weight_bytes(whole) == 2 * model.parameters


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.id)
def test_every_architecture_computes_numbers(model: KnownModel) -> None:
    shape = layout(model.id, shrunk(model), layers=2)
    made = random_model(shape, Place(CPU, torch.float32), 0, silent)
    with torch.inference_mode():
        logits = made(input_ids=torch.arange(3, 40)[None]).logits
    assert logits.isfinite().all()
    assert logits.std() > 0


def test_the_seed_decides() -> None:
    shape = layout("tiny", TINY)
    place = Place(CPU, torch.float32)
    first, again, other = (random_model(shape, place, seed, silent) for seed in (1, 1, 2))
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_tied_weights_are_one() -> None:
    made = random_model(layout("tiny", TINY), Place(CPU, torch.float32), 0, silent)
    assert made.lm_head.weight is made.model.embed_tokens.weight
    loose = layout("tiny", TINY | {"tie_word_embeddings": False})
    made = random_model(loose, Place(CPU, torch.float32), 0, silent)
    assert made.lm_head.weight is not made.model.embed_tokens.weight


def test_matrices_are_noise_and_norms_are_neutral() -> None:
    made = random_model(layout("tiny", TINY), Place(CPU, torch.bfloat16), 0, silent)
    rows = made.model.layers[0].mlp.up_proj.weight
    assert abs(rows.float().std().item() - TINY["initializer_range"]) < 0.05
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)
    assert (made.model.norm.weight == 1).all()


def test_norms_and_biases_of_torch_itself_are_set() -> None:
    opt = find("facebook/opt-1.3b")
    assert opt is not None
    made = random_model(layout(opt.id, shrunk(opt), 1), Place(CPU, torch.float32), 0, silent)
    layer = made.model.decoder.layers[0]
    assert (layer.self_attn_layer_norm.weight == 1).all()
    assert (layer.fc1.bias == 0).all()


def test_progress_is_told_in_bytes_to_the_end() -> None:
    told: list[tuple[str, int, int | None]] = []
    module = torch.nn.Linear(8, 4, bias=False)
    fill(module, 0, 0.02, lambda *step: told.append(step))
    assert told == [("weights", 128, 128)]


def test_every_page_is_touched(tmp_path: Path) -> None:
    folder = write_config(tmp_path / "big", vocab_size=100_000, hidden_size=256)
    before = psutil.Process().memory_info().rss
    loaded = load_tiny(folder)
    grown = psutil.Process().memory_info().rss - before
    assert loaded.facts.weights_bytes is not None
    assert grown > 0.9 * loaded.facts.weights_bytes


@pytest.mark.slow
def test_a_real_architecture_end_to_end(tmp_path: Path) -> None:
    model = find("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert model is not None
    folder = write_config(tmp_path / "smol", **model.architecture())
    assert load_tiny(folder).facts.parameters == model.parameters
