"""Where a model comes from, and what is said when it cannot come."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from llamatop.catalog import find
from llamatop.engines import config_file
from llamatop.engines.resolve import Source, resolve
from llamatop.errors import InputError
from tests.engines.conftest import TINY, silent, tiny_run, write_config


def found(folder: Path | str, **changes: object) -> Source:
    return resolve(tiny_run(folder, **{"weights": "auto"} | changes), silent)


def refusal(folder: Path | str, **changes: object) -> str:
    with pytest.raises(InputError) as refused:
        found(folder, **changes)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = write_config(tmp_path / "whole")
    save_file({"a": torch.zeros(64)}, folder / "model.safetensors")
    return folder


def test_the_demo_is_bundled() -> None:
    source = found("demo")
    assert source.folder is not None
    assert source.context == 2048


def test_a_folder(whole: Path) -> None:
    source = found(whole)
    assert source.folder == whole
    assert source.architecture == TINY


def test_random_weights_take_the_architecture_only(tmp_path: Path) -> None:
    assert found(write_config(tmp_path / "bare"), weights="random").folder is None
    assert found("demo", weights="random").folder is None


def test_random_weights_of_a_known_model_need_no_network() -> None:
    source = found("meta-llama/Llama-3.1-8B-Instruct", weights="random")
    assert source.folder is None
    assert source.context == 131072


def test_too_many_tokens_for_the_context(whole: Path) -> None:
    message = refusal(whole, prompt_toks=250, gen_toks=7)
    assert all(part in message for part in ("250", "7", "257", "256"))
    assert found(whole, prompt_toks=250, gen_toks=6)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "no such folder" in refusal("./nowhere", weights="random")


def test_a_name_that_is_none() -> None:
    assert "neither a folder here nor a Hugging Face id" in refusal("a model, please")
    for name in ("-rf", "a" * 97, "a" * 300, "some--body/some..thing"):
        assert "neither" in refusal(name)
        assert "neither" in refusal(name, weights="random")
    assert "no such folder" in refusal("./" + "a" * 300)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)
    (tmp_path / "config.json").write_text("{broken")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    assert "cannot be read" in refusal(tmp_path)


def test_a_description_that_is_a_pipe_or_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.json"
    os.mkfifo(config)
    assert "it is not a file" in refusal(tmp_path)
    config.unlink()
    config.symlink_to("/dev/zero")
    assert "it is not a file" in refusal(tmp_path)
    monkeypatch.setattr(config_file, "LARGEST", 16)
    config.unlink()
    write_config(tmp_path)
    assert "it is larger than" in refusal(tmp_path)


def test_no_weights_in_the_folder(tmp_path: Path) -> None:
    message = refusal(write_config(tmp_path))
    assert "no model.safetensors" in message
    assert "--weights random" in message


def test_pickled_weights_are_not_opened(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.")
    assert "pickled" in refusal(tmp_path)


@pytest.mark.parametrize("size", [0, 3, 8, 60, -1])
def test_weights_cut_anywhere(whole: Path, size: int) -> None:
    weights = whole / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert "cut short" in refusal(whole)


def test_weights_that_are_something_else(whole: Path) -> None:
    (whole / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"not json, really" * 9)
    assert "damaged" in refusal(whole)


def test_a_shard_is_missing(whole: Path) -> None:
    index = whole / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}')
    assert "model-2.safetensors is missing" in refusal(whole)
    index.write_text("{}")
    assert "damaged" in refusal(whole)


def test_it_is_quick_and_light() -> None:
    known = find("Qwen/Qwen3-0.6B")
    assert known is not None
    code = (
        "import sys; from llamatop.settings.config import RunConfig; "
        "from llamatop.engines.resolve import resolve; "
        f"resolve(RunConfig(model={known.id!r}, weights='random'), print); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "huggingface_hub"} & set(done.stdout.split())
