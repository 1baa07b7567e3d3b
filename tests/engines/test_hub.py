"""The Hub's refusals are told in one line with the way on; what it gives is kept."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import msgspec
import pytest
import torch
from safetensors.torch import save

from llamatop.engines import hub
from llamatop.engines.resolve import resolve
from llamatop.errors import InputError
from tests.engines.conftest import TINY, silent, tiny_run
from tests.engines.fake_hub import FakeHub

NAME = "someone/tiny"
GATED = "meta-llama/Llama-3.2-1B-Instruct"
TOKEN = "hf_" + "secret" * 5
FILES = {
    "config.json": msgspec.json.encode(TINY),
    "model.safetensors": save({"a": torch.zeros(50_000)}),
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "README.md": b"# tiny",
}

Serve = Callable[..., FakeHub]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Starts a fake Hub and makes it the only one, with an empty cache and a token."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def start(name: str = NAME, files: dict[str, bytes] = FILES, **facts: bool) -> FakeHub:
        fake = FakeHub(name, files, **facts)
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        return fake

    return start


def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long whoever asks in this thread sleeps before it asks again; it does not."""
    slept: list[float] = []
    here, real = threading.get_ident(), time.sleep
    monkeypatch.setattr(
        time, "sleep", lambda s: slept.append(s) if threading.get_ident() == here else real(s)
    )
    return slept


def refusal(model: str = NAME, weights: str = "auto") -> str:
    with pytest.raises(InputError) as refused:
        resolve(tiny_run(Path(model), weights=weights), silent)
    message = str(refused.value)
    assert message.startswith(f"--model {model}: ")
    assert "\n" not in message
    assert TOKEN not in message
    return message


def test_a_model_is_downloaded_once(serve: Serve) -> None:
    fake = serve()
    told: list[tuple[str, int, int | None]] = []
    config = tiny_run(Path(NAME), weights="auto")
    source = resolve(config, lambda *step: told.append(step))
    assert source.folder is not None
    names = {file.name for file in source.folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json"}
    total = sum(len(FILES[name]) for name in names)
    assert told[0] == ("download", 0, total)
    assert told[-1] == ("download", total, total)
    asked = len(fake.asked)
    assert resolve(config, silent).folder == source.folder
    assert len(fake.asked) == asked, "the cache is enough"
    assert fake.tokens == {f"Bearer {TOKEN}"}


def test_half_a_model_in_the_cache_is_fetched_again(serve: Serve) -> None:
    serve()
    config = tiny_run(Path(NAME), weights="auto")
    folder = resolve(config, silent).folder
    assert folder is not None
    (folder / "model.safetensors").unlink()
    assert hub.cached_model(NAME) is None
    assert resolve(config, silent).folder == folder
    assert (folder / "model.safetensors").exists()


def test_random_weights_need_the_configuration_only(serve: Serve) -> None:
    fake = serve()
    source = resolve(tiny_run(Path(NAME)), silent)
    assert source.architecture == TINY
    assert source.folder is None
    assert not any("safetensors" in path for path in fake.asked)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "RepoNotFound", "not on the Hub, or private"),
        (404, "RepoNotFound", "not on the Hub, or private"),
        (404, "RevisionNotFound", "no such revision"),
        (403, "GatedRepo", "gated: accept its licence on its page, then run `hf auth login`"),
        (403, "", "refuses the token"),
        (429, "", "too many requests (429)"),
        (503, "", "answers 503"),
    ],
)
def test_refusals(
    serve: Serve, status: int, code: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = sleeps(monkeypatch)
    serve().refusals["/api/models"] = (status, code)
    assert told in refusal()
    assert told in refusal(weights="random")
    assert sum(slept) < 3


@pytest.mark.parametrize(
    ("status", "told"), [(403, "refuses the token"), (429, "too many requests"), (503, "503")]
)
def test_a_download_that_is_refused_is_not_tried_again_and_again(
    serve: Serve, status: int, told: str
) -> None:
    fake = serve()
    fake.refusals["/resolve/"] = (status, "")
    assert told in refusal()
    assert told in refusal(weights="random")
    assert sum("/resolve/" in path for path in fake.asked) == 2


def test_a_gated_model_without_access(serve: Serve) -> None:
    serve(GATED, gated=True).refusals["auth-check"] = (403, "GatedRepo")
    message = refusal(GATED)
    assert "gated" in message
    assert message.endswith("or use --weights random")


def test_a_gated_model_with_access(serve: Serve) -> None:
    serve(GATED, gated=True)
    assert resolve(tiny_run(Path(GATED), weights="auto"), silent).folder


def test_only_pickled_weights(serve: Serve) -> None:
    fake = serve(files={name: FILES[name] for name in ("config.json", "pytorch_model.bin")})
    assert "not in safetensors" in refusal()
    assert not any("resolve" in path for path in fake.asked)


def test_no_room_on_the_disk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    message = refusal()
    assert "GiB free" in message
    assert "HF_HOME" in message


def test_no_network(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve()
    fake.shutdown()
    fake.server_close()
    slept = sleeps(monkeypatch)
    assert "cannot be reached" in refusal()
    assert "--weights random" in refusal("Qwen/Qwen3-0.6B")
    assert sum(slept) < 3


def test_offline_by_choice(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    assert "HF_HUB_OFFLINE" in refusal()
    monkeypatch.undo()
    huggingface_hub.close_session()
