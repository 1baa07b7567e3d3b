"""Of a foreign engine weights and KV are foretold, and it is said that the rest is its own."""

import dataclasses
from pathlib import Path

import msgspec
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import kept_demo, write_gguf
from llamatop.errors import InputError
from llamatop.events.kinds import MemoryUntold
from llamatop.predict.checking import Place
from llamatop.reports.check import check_text
from llamatop.serve.checked import check_served
from llamatop.serve.foretold import foretell
from llamatop.serve.shapes import kv_bytes
from llamatop.settings.config import RunConfig

HERE = Place("cpu", 8 * 2**30)
CONFIG = RunConfig(concurrency=(1, 8), prompt_toks=100, gen_toks=28)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    path = kept_demo(folder / "new")
    assert kept_demo(folder / "new") == path and len([*path.parent.iterdir()]) == 1
    return path


def test_weights_are_those_stored_and_kv_is_of_the_requests_asked_for() -> None:
    """The same bytes as its files hold, and as its configuration's shapes make."""
    told = foretell(CONFIG, str(demo_folder()), lambda: 0)
    weights = (demo_folder() / "model.safetensors").stat().st_size
    found = told.peak(8, False)
    assert found is not None and found.host_bytes is None
    assert found.parts["weights"] == pytest.approx(weights, rel=0.01)
    assert found.parts["kv cache"] == kv_bytes(demo_folder(), 8 * 128)


def test_a_gguf_file_is_told_by_its_header(gguf: Path) -> None:
    found = foretell(CONFIG, str(gguf), lambda: 0).peak(8, False)
    assert found is not None
    assert found.parts["weights"] == pytest.approx(gguf.stat().st_size, rel=0.03)
    assert found.parts["kv cache"] == kv_bytes(demo_folder(), 8 * 128), "16 bits too"


def test_a_model_that_is_not_understood_is_told_so(tmp_path: Path) -> None:
    [event] = foretell(CONFIG, str(tmp_path), lambda: 7).events
    assert isinstance(event, MemoryUntold) and "config.json" in event.reason


def test_check_tells_what_holds_and_what_is_the_engines_own() -> None:
    found = check_served(CONFIG, HERE, "vllm", "f16")
    assert [level.fits for level in found.levels] == [None, None]
    text = check_text(found)
    assert "demo: unknown" in text
    assert "vllm: weights and cache hold there, and are all that is foretold" in text
    assert "its pool is a share of the device" in text
    assert max(map(len, text.splitlines())) <= 80


def test_weights_and_kv_that_do_not_fit_are_enough_to_know() -> None:
    found = check_served(CONFIG, dataclasses.replace(HERE, available_bytes=10**6), "vllm", "f16")
    assert found.verdict == "does not fit" and not found.may_fit


def test_of_llama_cpp_its_own_buffers_are_foretold_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path))
    found = check_served(CONFIG, HERE, "llama.cpp", "f16")
    assert (found.engine, found.verdict, found.config.model) == ("llama.cpp", "fits", "demo")


def test_a_gguf_file_is_not_for_the_others(gguf: Path) -> None:
    with pytest.raises(InputError, match="leave --serve out"):
        check_served(msgspec.structs.replace(CONFIG, model=str(gguf)), HERE, "vllm", "f16")


def test_in_bfloat16_a_gguf_file_holds_the_weights_as_they_are_stored(tmp_path: Path) -> None:
    """Read by another's reader; norms are float32 for llama.cpp."""
    written = GGUFReader(write_gguf(demo_folder(), tmp_path / "a.gguf", "demo", "bfloat16"))
    tensors = {tensor.name: tensor for tensor in written.tensors}
    kinds = {name: tensor.tensor_type.name for name, tensor in tensors.items()}
    assert {kind for name, kind in kinds.items() if "norm" not in name} == {"BF16"}
    assert {kind for name, kind in kinds.items() if "norm" in name} == {"F32"}
    stored = load_file(demo_folder() / "model.safetensors")["model.embed_tokens.weight"]
    bits = stored.view(torch.int16).numpy().astype("<i2")
    assert tensors["token_embd.weight"].data.tobytes() == bits.tobytes()
