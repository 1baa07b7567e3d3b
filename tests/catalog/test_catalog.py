"""What the package knows by itself is whole and light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llamatop.catalog import KnownModel, demo_folder, find, known_models


def test_the_smallest_comes_first() -> None:
    sizes = [model.parameters for model in known_models()]
    assert sizes == sorted(sizes)
    assert len(sizes) == 11


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.id)
def test_every_architecture_is_there(model: KnownModel) -> None:
    assert model.architecture()["architectures"]
    assert model.context >= 2048
    assert model.decode_read_parameters <= model.parameters


def test_ids_are_exact() -> None:
    assert find("Qwen/Qwen3-0.6B") is not None
    assert find("qwen/qwen3-0.6b") is None


def test_the_context_of_a_model_with_parts_is_its_text_models() -> None:
    scout = find("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    assert scout is not None
    assert scout.context == 10_485_760
    assert scout.gated


def test_the_demo_is_a_whole_model() -> None:
    names = {file.name for file in demo_folder().iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


def test_it_is_light() -> None:
    code = "import sys, llamatop.catalog as c; c.known_models(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "huggingface_hub"} & set(done.stdout.split())
