"""What cannot be shared by ranks is told in one line, before any is started; what each rank keeps
of random weights."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from llamatop.engines import architecture, ranks, tensor_parallel
from llamatop.engines.devices import Place
from llamatop.engines.random_weights import random_model, random_shared, weight_bytes
from llamatop.engines.resolve import resolve
from llamatop.engines.wave import Wave
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

from .conftest import silent

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


@pytest.fixture
def rank_1_of_2() -> Iterator[None]:
    """torch's fake group, in which nobody else is and nothing is sent."""
    dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=2)
    yield
    dist.destroy_process_group()


def test_of_random_weights_a_rank_keeps_its_part_of_what_one_process_has(rank_1_of_2: None) -> None:
    layout = architecture.read(resolve(RunConfig(model="demo"), silent))
    whole = random_model(layout, Place(CPU, torch.float32), 7, silent)
    shared = random_shared(layout, Place(CPU, torch.float32), 2, 7, silent)
    named, cut = dict(whole.named_parameters()), 0
    for name, parameter in shared.named_parameters():
        if isinstance(parameter, DTensor):
            cut += 1
            sides = [side for side in parameter.placements if side.is_shard()]
            part = named[name].chunk(2, dim=sides[0].dim)[1]
            kept = parameter.to_local()
            assert torch.equal(kept, part), name
            assert kept.untyped_storage().nbytes() == kept.nbytes, "it holds nothing of the other"
        else:
            assert torch.equal(parameter, named[name]), name
    assert cut == 1 + 7 * 5, "the embedding, which is the head too, and seven matrices a layer"
    assert shared.get_output_embeddings().weight is shared.get_input_embeddings().weight
    norms = sum(p.nbytes for name, p in named.items() if "norm" in name)
    assert weight_bytes(shared) == (weight_bytes(whole) - norms) // 2 + norms


def test_a_wave_samples_as_rank_0_would() -> None:
    inputs = {"input_ids": torch.ones(2, 3, dtype=torch.long)}
    torch.manual_seed(5)
    wave = Wave.of(inputs, 4, CPU)
    first = torch.rand(3)
    torch.manual_seed(6)
    assert torch.equal(wave.settle(CPU)["input_ids"], inputs["input_ids"])
    assert torch.equal(torch.rand(3), first)
