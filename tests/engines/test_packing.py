"""Matrices laid out for the processor: the same tokens, no second copy, and plain where it must."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from llamatop.engines import layout, packing, sample, tuning
from llamatop.engines.layout import Matrix, Timings, Took
from llamatop.engines.loading import Loaded
from llamatop.engines.random_weights import weight_bytes
from llamatop.engines.torch_engines import ENGINES, make_engine
from llamatop.events.kinds import EngineTuned, Event, MachineMeasured
from llamatop.settings.config import RunConfig

from .conftest import Served, load_tiny, silent, tiny_run, write_config

pytestmark = pytest.mark.skipif(not packing.available(), reason="torch is built without oneDNN")

SHAPES = {Matrix(64, 64): 4, Matrix(32, 64): 4, Matrix(128, 64): 4, Matrix(64, 128): 2}
"""Of the tiny Llama's two layers, and how many of each."""
QUICK, SLOW = Took(2e-3, 1e-3), Took(1e-3, 2e-3)


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("untied"), tie_word_embeddings=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LLAMATOP_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def known(took: Took, **others: Took) -> Timings:
    """Of the tiny Llama; `others`: of `prefill`, or of a step with `n` requests as `n`."""
    steps = {"one": 1, "two": 2, "prefill": None}
    found = {layout.key(SHAPES, n): others.get(name, took) for name, n in steps.items()}
    return Timings(found, pack_bytes_s=1e12)


def pack_all(loaded: Loaded) -> list[str]:
    names = list(packing.packable(loaded.model))
    assert packing.pack_layers(loaded.model, names, lambda _: None) == []
    return names


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_second_copy_stays(untied: Path, dtype: Any) -> None:
    loaded = load_tiny(untied, dtype=dtype)
    before, plain = weight_bytes(loaded.model), packing.packable(loaded.model)
    kept = {name: part.weight.detach().clone() for name, part in plain.items()}
    del plain
    names = pack_all(loaded)
    assert len(names) == 15 and "lm_head" in names
    assert weight_bytes(loaded.model) == before
    left = {name.removesuffix(".weight") for name, _ in loaded.model.named_parameters()}
    assert not left & set(names)
    assert packing.unpack(loaded.model, lambda _: True) == names
    for name, weight in kept.items():
        assert torch.equal(loaded.model.get_submodule(name).weight, weight)


def test_the_same_tokens_in_every_engine(untied: Path) -> None:
    texts = []
    for packed in (False, True):
        loaded = load_tiny(untied)
        if packed:
            pack_all(loaded)
        for name in ENGINES:
            engine = ENGINES[name](loaded, tiny_run(untied))
            served = Served(engine, requests=4, concurrency=2).end()
            assert served.error is None
            texts.append(served.text)
            if hasattr(engine, "close"):
                engine.close()
    assert all(text == texts[0] for text in texts)
    assert len(set(texts[0].values())) == 4


def test_a_tied_head_is_not_doubled(tiny_folder: Path) -> None:
    names = pack_all(load_tiny(tiny_folder))
    assert len(names) == 14 and "lm_head" not in names


class Reads(nn.Module):
    """Multiplies with the one layer's weight by itself, as some models do."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.usual = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> torch.Tensor:
        return self.usual(torch.ones(1, 16) @ self.own.weight.T)


class Refuses(Reads):
    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> torch.Tensor:
        if not isinstance(self.own, nn.Linear):
            raise TypeError("not a linear layer")
        return super().forward(input_ids, use_cache)


@pytest.mark.parametrize(("kind", "plain"), [(Reads, ["own"]), (Refuses, ["own", "usual"])])
def test_what_does_not_run_packed_stays_plain(kind: type[Reads], plain: list[str]) -> None:
    model = kind().eval().requires_grad_(False)
    before = model(torch.zeros(1, 1), False)
    assert packing.pack_layers(model, ["own", "usual"], lambda _: None) == plain
    assert [name for name, _ in packing.layers(model)] == sorted({"own", "usual"} - {*plain})
    assert torch.allclose(model(torch.zeros(1, 1), False), before, atol=1e-6)


def test_the_choice_follows_what_was_measured(untied: Path) -> None:
    config = tiny_run(untied, concurrency=(1, 2))
    chosen = layout.choose(SHAPES, known(QUICK, one=SLOW), config, 4)
    assert chosen == layout.Choice(True, ((1, pytest.approx(0.5)), (2, pytest.approx(2))))
    one = tiny_run(untied, concurrency=(1,), prompt_toks=8, gen_toks=16)
    none = layout.choose(SHAPES, known(QUICK, one=SLOW), one, 4)
    assert none is not None and not none.packed and "as quick" in none.reason
    assert layout.choose(SHAPES, known(QUICK), tiny_run(untied, concurrency=(3,)), 4) is None


def test_a_run_shorter_than_packing_is_not_packed_for(untied: Path) -> None:
    timings = known(QUICK)
    timings.pack_bytes_s = 1e5  # a second for all, of which the run saves some hundredths
    config = tiny_run(untied, concurrency=(2,), requests=2)
    short = layout.choose(SHAPES, timings, config, 4)
    assert short is not None and not short.packed and "too short" in short.reason
    endless = layout.choose(SHAPES, timings, tiny_run(untied, concurrency=(2,), endless=True), 4)
    assert endless is not None and endless.packed


def tuned(config: RunConfig, loaded: Loaded) -> tuple[list[Event], int]:
    """What is told, and how often it was waited until nothing else computes."""
    events: list[Event] = []
    waits: list[None] = []
    outside = tuning.Outside(silent, events.append, lambda: waits.append(None), time.perf_counter())
    tuning.tune(config, loaded, outside)
    return events, len(waits)


def test_a_step_is_timed_as_the_whole_model_takes_it(untied: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(sample, "SAMPLE_BYTES", 1)  # a layer of two, and a row of the head
    loaded = load_tiny(untied)
    with torch.inference_mode():
        part = sample.Sample(loaded)
        whole = dict(loaded.model.named_modules())
        took = [part.prefill(0), part.decode(2, 0)]
    assert all(0 < seconds < 60 for each in took for seconds in each)
    assert dict(loaded.model.named_modules()) == whole and not [*packing.layers(loaded.model)]
    assert part.pack_bytes_s > 0


def test_what_cannot_be_timed_stays_plain(untied: Path, cache: Path) -> None:
    loaded = load_tiny(untied)
    loaded.facts = msgspec.structs.replace(loaded.facts, layers=7)  # no list has so many
    (told,) = (one for one in tuned(tiny_run(untied), loaded)[0] if isinstance(one, EngineTuned))
    assert (told.layout, told.packed) == ("plain", 0) and "in no list" in told.reason


def test_what_is_known_is_not_measured_again(tiny_folder: Path, cache: Path) -> None:
    config = tiny_run(tiny_folder, concurrency=(1, 2))
    loaded = load_tiny(tiny_folder)
    events, waits = tuned(config, loaded)
    measured = [event for event in events if isinstance(event, EngineTuned)]
    assert waits == 1 and len(measured) == 1 and measured[0].layers == 14
    assert [type(event) for event in events] == [MachineMeasured, EngineTuned]
    assert not measured[0].reason or "as quick" in measured[0].reason
    layout.write("float32", known(QUICK))
    again, waits = tuned(config, load_tiny(tiny_folder))
    assert waits == 0
    (told,) = (event for event in again if isinstance(event, EngineTuned))
    assert (told.layout, told.packed, told.reason) == ("packed", 14, "")
    assert told.gains == ((1, pytest.approx(2)), (2, pytest.approx(2)))


def test_no_tuning_leaves_all_as_it_is(tiny_folder: Path, cache: Path) -> None:
    layout.write("float32", known(QUICK))
    loaded = load_tiny(tiny_folder)
    assert tuned(tiny_run(tiny_folder, tuning=False), loaded) == ([], 0)
    assert not [*packing.layers(loaded.model)]
    assert make_engine(tiny_run(tiny_folder), loaded).facts.layout == ""
