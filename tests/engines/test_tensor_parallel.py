"""What cannot be shared by ranks is told in one line, before any is started."""

from pathlib import Path

import pytest
import torch

from llamatop.engines import architecture, ranks, tensor_parallel
from llamatop.engines.resolve import resolve
from llamatop.engines.wave import Wave
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

from .conftest import silent, write_config

CPU = torch.device("cpu")


def told(config: RunConfig) -> str:
    source = resolve(config, silent)
    with pytest.raises(InputError) as problem:
        tensor_parallel.check(config, source, architecture.read(source), CPU)
    return str(problem.value)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "usable_cores", lambda: 8)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)


def test_heads_that_it_does_not_divide() -> None:
    assert told(RunConfig(model="demo", tp=3)) == (
        "--tp 3: demo has 4 attention heads, which 3 does not divide"
    )
    assert told(RunConfig(model="demo", tp=4)) == (
        "--tp 4: demo has 2 key-value heads, which 4 does not divide"
    )


def test_more_ranks_than_cores() -> None:
    assert told(RunConfig(model="demo", tp=9)) == "--tp 9: there are 8 cores here; use --tp 8"


def test_a_cpu_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: gpu)
    assert "CUDA_VISIBLE_DEVICES" in told(RunConfig(model="demo", tp=2))


def test_weights_that_are_on_no_disk(tmp_path: Path) -> None:
    folder = write_config(tmp_path)
    assert "random weights" in told(RunConfig(model=str(folder), weights="random", tp=2))


def test_a_wave_samples_as_rank_0_would() -> None:
    inputs = {"input_ids": torch.ones(2, 3, dtype=torch.long)}
    torch.manual_seed(5)
    wave = Wave.of(inputs, 4, CPU)
    first = torch.rand(3)
    torch.manual_seed(6)
    assert torch.equal(wave.settle(CPU)["input_ids"], inputs["input_ids"])
    assert torch.equal(torch.rand(3), first)
