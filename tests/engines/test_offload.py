"""Offloaded weights: not in memory, the same tokens, and nothing left behind."""

import tempfile
from pathlib import Path

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM

from llamatop.engines import offload
from llamatop.engines.loading import Loaded, load
from llamatop.engines.resolve import resolve
from llamatop.engines.torch_engines import make_engine
from llamatop.errors import InputError
from llamatop.settings.checks import checked
from llamatop.settings.config import RunConfig

from .conftest import TINY, Served, load_tiny, silent, tiny_run


def generated(loaded: Loaded, config: RunConfig) -> dict[int, str]:
    served = Served(make_engine(config, loaded), 3, 2).end()
    assert served.error is None
    assert len(served.tokens) >= 3
    return served.text


@pytest.fixture(scope="module")
def trained(tiny: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    tiny.model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a matrix for each expert, which the model has stacked."""
    folder = tmp_path_factory.mktemp("experts")
    sizes = {key: TINY[key] for key in TINY if key not in ("architectures", "model_type")}
    torch.manual_seed(1)
    config = MixtralConfig(**sizes, num_local_experts=4, num_experts_per_tok=2)
    MixtralForCausalLM(config).to(torch.float32).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("which", ["trained", "experts"])
def test_from_disk_it_says_the_same(
    which: str, dtype: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = tiny_run(request.getfixturevalue(which), weights="auto", dtype=dtype, offload="disk")
    plain = load_tiny(Path(config.model), weights="auto", dtype=dtype)
    found = load(config, resolve(config, silent), silent)
    assert all(parameter.is_meta for parameter in found.model.parameters())
    assert (found.facts.offload, plain.facts.offload) == ("disk", "")
    assert found.facts.parameters == plain.facts.parameters
    assert found.facts.weights_bytes == plain.facts.weights_bytes
    assert "accelerate" in found.facts.versions
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("llamatop-offload-")
    assert bool(list(folder.iterdir())) == (which == "experts")  # others are read where they are
    assert generated(found, config) == generated(plain, config)
    assert all(parameter.is_meta for parameter in found.model.parameters())
    assert found.folder is not None
    found.folder.cleanup()
    assert not list(tmp_path.iterdir())


def test_from_the_hosts_memory_it_says_the_same(
    tiny_folder: Path, tiny: Loaded, tiny_config: RunConfig
) -> None:
    """On a CPU nothing moves, but all that the hooks do is done."""
    found = load_tiny(tiny_folder)
    found.model = offload.to_host(found.model, torch.device("cpu"))
    assert all(parameter.is_meta for parameter in found.model.parameters())
    assert generated(found, tiny_config) == generated(tiny, tiny_config)


def test_a_full_disk_is_told_before_anything_is_written(
    experts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(offload.shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match=r"--offload disk: may write .* to .*; set TMPDIR"):
        load_tiny(experts, weights="auto", offload="disk")
    assert not list(tmp_path.iterdir())


def test_a_load_that_fails_leaves_no_folder(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(offload, "DEVICE_MAP", {"nowhere": "disk"})
    with pytest.raises(InputError, match="cannot be loaded"):
        load_tiny(trained, weights="auto", offload="disk")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_offloaded_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="on the CPU already; use disk"):
        offload.check_device(RunConfig(offload="cpu"), torch.device("cpu"))
    with pytest.raises(InputError, match="computes on the CPU only, not on cuda:0"):
        offload.check_device(RunConfig(offload="disk"), torch.device("cuda", 0))
    offload.check_device(RunConfig(offload="cpu"), torch.device("cuda", 0))
    for engine in ("threads", "continuous", "scripted"):
        with pytest.raises(InputError, match=f"--engine {engine} cannot offload"):
            checked(RunConfig(offload="disk", engine=engine))
