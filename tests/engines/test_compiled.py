"""A compiled step: the tokens of `batch`, a graph for each size, uncompiled where it cannot be."""

from pathlib import Path
from typing import Any

import pytest
import torch

from llamatop.engines.compiled import CompiledEngine
from llamatop.engines.loading import Loaded
from llamatop.engines.sizes import Size
from llamatop.engines.torch_engines import make_engine
from llamatop.events.kinds import Event
from llamatop.reports.tuned import compiled_words

from .conftest import OUTPUT, PROMPT, Served, load_tiny, silent, tiny_run


def sizes(number: int) -> Size:
    """Prompts of two lengths, outputs of three."""
    return Size(PROMPT - number % 2, OUTPUT + number % 3)


def compiled(folder: Path, loaded: Loaded, **settings: Any) -> tuple[CompiledEngine, list[Event]]:
    """One that is ready, and what it told."""
    config = tiny_run(folder, engine="compiled", gen_toks=OUTPUT + 2, concurrency=(2,))
    engine, told = make_engine(config, loaded), []
    assert isinstance(engine, CompiledEngine)
    for name, value in settings.items():
        setattr(engine._settings, name, value)
    engine.get_ready(silent, told.append)
    return engine, told


def same_text(folder: Path, loaded: Loaded, engine: CompiledEngine) -> None:
    """Of five requests at two and at three at once, the last wave not full."""
    batch = make_engine(tiny_run(folder, engine="batch"), loaded)
    for concurrency in (2, 3):
        one, other = (
            Served(each, requests=5, concurrency=concurrency, size=sizes).end(300)
            for each in (batch, engine)
        )
        assert one.error is None
        assert other.error is None
        assert other.text == one.text
        assert len(set(one.text.values())) == 5


def test_its_tokens_are_those_of_batch_and_each_size_has_a_graph(
    tiny_folder: Path, tiny: Loaded
) -> None:
    """Captured by torch as it is; only the code that it would make is left out."""
    engine, told = compiled(tiny_folder, tiny, backend="eager", mode=None)
    same_text(tiny_folder, tiny, engine)
    made = [(one.requests, one.tokens) for one in told if one.seconds is not None]
    assert made == [(2, 64), (3, 64)]
    assert [one.reason for one in told] == [""] * 4
    assert compiled_words(told[0]) == "compiling a step for 2 at once, up to 64 tokens each"
    assert compiled_words(told[1]).startswith(
        "compiled a step for 2 at once, up to 64 tokens each, in"
    )


def test_what_cannot_be_compiled_goes_on_uncompiled(tiny_folder: Path, tiny: Loaded) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no compiler\nof this kind")

    engine, told = compiled(tiny_folder, tiny, backend=broken, mode=None)
    same_text(tiny_folder, tiny, engine)
    assert len(told) == 2
    assert "goes on uncompiled: it cannot be compiled here" in compiled_words(told[1])
    assert "\n" not in compiled_words(told[1])


def test_a_quantised_model_is_not_compiled(tiny_folder: Path) -> None:
    loaded = load_tiny(tiny_folder, quantize="int8", dtype="bfloat16")
    engine, told = compiled(tiny_folder, loaded)
    assert [one.reason for one in told] == ["only whole, unquantised models are compiled"]
    assert Served(engine, requests=3, concurrency=2).end().error is None


@pytest.mark.slow
def test_its_own_code_gives_the_same(tiny_folder: Path, tiny: Loaded) -> None:
    engine, told = compiled(tiny_folder, tiny)
    same_text(tiny_folder, tiny, engine)
    assert [one.reason for one in told] == [""] * 4


@pytest.mark.slow
def test_without_a_compiler_it_goes_on(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/c++"))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    torch._dynamo.reset()  # no code of a test before
    engine, told = compiled(tiny_folder, own := load_tiny(tiny_folder))
    same_text(tiny_folder, own, engine)
    assert "C++" in told[-1].reason
