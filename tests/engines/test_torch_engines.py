"""Every engine keeps the same promises, on a tiny model and the real closed loop."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from transformers.generation.continuous_batching import ContinuousBatchingManager

from llamatop.engines.base import EngineMemoryError, GivenSize, Job
from llamatop.engines.continuous import ContinuousEngine
from llamatop.engines.loading import Loaded
from llamatop.engines.prompts import Given
from llamatop.engines.sizes import Size, Sizes
from llamatop.engines.torch_engine import TorchEngine
from llamatop.engines.torch_engines import ENGINES, make_engine
from llamatop.events.kinds import (
    PromptReused,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    TokensEmitted,
)
from llamatop.settings.config import RunConfig, whole_prompts
from tests.engines.conftest import OUTPUT, Ended, Served

Make = Callable[[str], TorchEngine]


@pytest.fixture
def make(tiny: Loaded, tiny_config: RunConfig) -> Iterator[Make]:
    """Makes an engine by name; its pages are given back."""
    made: list[TorchEngine] = []

    def make_one(name: str) -> TorchEngine:
        made.append(ENGINES[name](tiny, tiny_config))
        return made[-1]

    yield make_one
    for engine in made:
        if isinstance(engine, ContinuousEngine):
            engine.close()


@pytest.fixture(params=["batch", "threads", "continuous"])
def engine(request: pytest.FixtureRequest, make: Make) -> TorchEngine:
    return make(request.param)


class Then:
    """Calls a function, then does something."""

    def __init__(self, function: Callable[..., Any], then: Callable[[], None]) -> None:
        self._function, self._then = function, then

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._function(*args, **kwargs)
        self._then()
        return result


class Faulty:
    """Makes a module's forward fail when it is called for the `nth` time."""

    def __init__(self, model: Any, nth: int, error: Exception) -> None:
        self._forward, self._left, self._error = model.forward, nth, error

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise self._error
        return self._forward(*args, **kwargs)


def test_every_request_gets_its_tokens_and_ends_once(engine: TorchEngine) -> None:
    served = Served(engine, requests=7, concurrency=3).end()
    assert served.error is None
    assert served.tokens == dict.fromkeys(range(7), OUTPUT)
    assert Counter(event.request for event in served.of(Ended)) == Counter(range(7))
    assert len(served.of(RequestFinished)) == 7
    assert served.most_in_flight == 3


def test_one_output_token(engine: TorchEngine) -> None:
    served = Served(engine, requests=3, concurrency=2, output=1).end()
    assert served.tokens == dict.fromkeys(range(3), 1)
    assert len(served.of(RequestFinished)) == 3


def test_nothing_is_told_of_a_request_after_its_end(engine: TorchEngine) -> None:
    served = Served(engine, requests=5, concurrency=2).end()
    ended: set[int] = set()
    for event in served.events:
        if isinstance(event, TokensEmitted):
            assert event.request not in ended
        elif isinstance(event, Ended):
            ended.add(event.request)


def test_levels_follow_one_another(engine: TorchEngine) -> None:
    for concurrency in (1, 4, 2):
        served = Served(engine, requests=2 * concurrency, concurrency=concurrency).end()
        assert len(served.of(RequestFinished)) == 2 * concurrency
        assert served.most_in_flight == concurrency


def test_all_engines_write_the_same(make: Make) -> None:
    texts = []
    for name in ENGINES:
        engine = make(name)
        texts.append(Served(engine, requests=4, concurrency=3).end().text)
        if isinstance(engine, ContinuousEngine):
            engine.close()
    assert texts[0] == texts[1] == texts[2]
    assert len(set(texts[0].values())) == 4


SIZES = [Size(20, 6), Size(3, 9), Size(31, 1), Size(11, 4), Size(1, 7)]
"""Prompts and outputs of all lengths, beside one another."""


def test_engines_agree_on_requests_of_unequal_lengths(make: Make) -> None:
    texts = []
    for name in ENGINES:
        engine = make(name)
        served = Served(engine, requests=10, concurrency=3, size=lambda place: SIZES[place % 5])
        served.end()
        assert served.error is None
        assert served.tokens == {id: SIZES[id % 5].max_tokens for id in range(10)}
        assert Counter(event.request for event in served.of(Ended)) == Counter(range(10))
        texts.append(served.text)
        if isinstance(engine, ContinuousEngine):
            engine.close()
    assert texts[0] == texts[1] == texts[2]


def test_shorter_prompts_are_padded_at_their_left(make: Make) -> None:
    engine = make("batch")
    asked = engine.prompts([Job(0, 5, 1), Job(1, 2, 1)])
    assert asked["input_ids"].shape == asked["attention_mask"].shape == (2, 5)
    assert asked["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]]
    prompt = engine.loaded.prompts.prompt
    assert asked["input_ids"].tolist() == [prompt(0, 5), [0, 0, 0, *prompt(1, 2)]]


def test_given_prompts_go_in_as_they_are(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make("batch")
    given = [Given([7, 8, 9], None), Given([5], 2)]
    monkeypatch.setattr(engine.loaded.prompts, "given", given)
    asked = engine.prompts([Job(4, 1, 2, given=1), Job(5, 3, 6, given=0)])
    assert asked["input_ids"].tolist() == [[0, 0, 5], [7, 8, 9]]
    assert list(engine.given) == [GivenSize(3), GivenSize(1, 2)]


def test_pages_have_room_for_the_longest_given_prompt(
    tiny: Loaded, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny.prompts, "given", [Given([1] * 90, None), Given([1], None)])
    continuous = msgspec.structs.replace(tiny_config, engine="continuous")
    engine = make_engine(continuous, tiny)
    assert isinstance(engine, ContinuousEngine)
    assert engine.config.prompt_toks == 90


@pytest.mark.parametrize(("prefixes", "reused"), [(1, 32), (1000, 0)])
def test_pages_of_a_shared_beginning_are_used_again(
    tiny: Loaded, tiny_config: RunConfig, prefixes: int, reused: int
) -> None:
    config = replace(tiny_config, prompt_toks=5, prefix_toks=40, prefixes=prefixes)
    config = whole_prompts(config)
    engine = make_engine(replace(config, engine="auto"), tiny)
    assert isinstance(engine, ContinuousEngine), "a static batch shares nothing"
    served = Served(engine, 4, 1, size=Sizes(config).at).end()
    engine.close()
    assert served.error is None
    told = [event.tokens for event in served.of(PromptReused)]
    assert told == [0, reused, reused, reused], "whole pages of 16 tokens"


def test_a_cancelled_request_is_told_of_no_more(engine: TorchEngine) -> None:
    served = Served(engine, requests=None, concurrency=2, output=100)
    served.until(lambda s: len(s.tokens) == 2)
    served.work.cancel(0)
    served.until(lambda s: len(s.of(RequestAdmitted)) > 2)
    served.work.stop()
    served.end()
    cancelled = next(event for event in served.of(RequestCancelled) if event.request == 0)
    late = [event for event in served.of(TokensEmitted) if event.request == 0]
    assert all(event.time <= cancelled.time for event in late)
    assert Counter(event.request for event in served.of(Ended))[0] == 1


def test_stop_leaves_at_once_and_drops_what_is_in_flight(engine: TorchEngine) -> None:
    served = Served(engine, requests=None, concurrency=3, output=200)
    served.until(lambda s: len(s.tokens) == 3)
    served.work.stop()
    served.end()
    admitted = {event.request for event in served.of(RequestAdmitted)}
    assert Counter(event.request for event in served.of(Ended)) == Counter(admitted)
    assert served.of(RequestCancelled)


class OneWave:
    """Work of one wave whose jobs want different numbers of tokens.

    After `patience` steps nobody waits for any of them.
    """

    stopping, concurrency = False, 3

    def __init__(self, *wanted: int) -> None:
        self.waves = [[Job(id, 8, tokens) for id, tokens in enumerate(wanted)]]
        self.told: list[tuple[int, ...]] = []
        self.finished: list[int] = []
        self.dropped: list[int] = []
        self.patience: int | None = None

    def take_wave(self) -> list[Job]:
        return self.waves.pop() if self.waves else []

    def emit_step(self, jobs: list[Job], tokens: list[int]) -> list[Job]:
        assert len(jobs) == len(tokens)
        self.told.append(tuple(job.id for job in jobs))
        return jobs if len(self.told) == self.patience else []

    def drop(self, job: Job) -> None:
        self.dropped.append(job.id)

    def finish(self, job: Job, reason: str = "length") -> None:
        self.finished.append(job.id)


def test_a_static_batch_goes_on_without_those_that_are_complete(make: Make) -> None:
    work = OneWave(4, 1, 3)
    make("batch").serve(work)  # type: ignore[arg-type]
    assert work.told == [(0, 1, 2), (0, 2), (0, 2), (0,)]
    assert work.finished == [1, 2, 0]


def test_a_static_batch_for_which_nobody_waits_any_more_is_left(make: Make) -> None:
    work = OneWave(40, 1, 30)
    work.patience = 3
    make("batch").serve(work)  # type: ignore[arg-type]
    assert (len(work.told), work.finished, work.dropped) == (3, [1], [0, 2])


def test_a_static_batch_is_left_in_the_middle_of_its_prefill(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make("batch")
    layers = list(engine.layers())
    assert len(layers) == 2
    served: list[Served] = []
    begun = threading.Event()

    def stop() -> None:
        begun.wait()
        served[0].work.stop()

    monkeypatch.setattr(layers[0], "forward", Then(layers[0].forward, stop))
    monkeypatch.setattr(layers[1], "forward", Faulty(layers[1], 1, AssertionError("went on")))
    served.append(Served(engine, requests=2, concurrency=2))
    begun.set()
    served[0].end()
    assert not served[0].tokens
    assert len(served[0].of(RequestCancelled)) == 2
    assert not any(layer._forward_pre_hooks for layer in layers)


def test_the_concurrency_changes_while_it_runs(engine: TorchEngine) -> None:
    served = Served(engine, requests=None, concurrency=1)
    served.until(lambda s: len(s.of(RequestFinished)) >= 1)
    served.work.resize(5, lambda at: 1)
    served.until(lambda s: s.most_in_flight == 5)
    served.work.resize(2, lambda at: 2)
    before = len(served.of(RequestFinished))
    served.until(lambda s: len(s.of(RequestFinished)) >= before + 8)
    served.work.stop()
    served.end()
    assert served.most_in_flight == 5
    assert not served.of(RequestFailed)


def test_an_error_fails_its_requests_and_the_rest_goes_on(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.loaded.model
    monkeypatch.setattr(model, "forward", Faulty(model, 3, ValueError("a broken layer")))
    served = Served(engine, requests=8, concurrency=2).end()
    assert served.error is None
    failed = served.of(RequestFailed)
    assert 1 <= len(failed) <= 2
    assert all("a broken layer" in event.error for event in failed)
    assert len(served.of(RequestFinished)) == 8 - len(failed)


@pytest.mark.parametrize("nth", [1, 4])
def test_the_end_of_memory_ends_the_level(
    engine: TorchEngine, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    model = engine.loaded.model
    error = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")
    monkeypatch.setattr(model, "forward", Faulty(model, nth, error))
    served = Served(engine, requests=8, concurrency=2).end()
    assert isinstance(served.error, EngineMemoryError)
    monkeypatch.undo()
    assert len(Served(engine, requests=4, concurrency=2).end().of(RequestFinished)) == 4


def test_auto_is_static_batches_on_a_cpu(tiny: Loaded, tiny_config: RunConfig) -> None:
    engine = make_engine(tiny_config, tiny)
    assert (engine.facts.engine, engine.facts.engine_reason) == (
        "batch",
        "measures fastest on a CPU",
    )
    named = make_engine(msgspec.structs.replace(tiny_config, engine="threads"), tiny)
    assert (named.facts.engine, named.facts.engine_reason) == ("threads", "")


def test_a_cpu_has_no_device_memory(engine: TorchEngine) -> None:
    engine.reset_peaks()
    assert engine.allocated() == []
    assert engine.device_peak() is None


def test_a_generating_thread_that_dies_silently_is_noticed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make("continuous")
    model = engine.loaded.model
    monkeypatch.setattr(model, "forward", Faulty(model, 3, ValueError("a broken layer")))
    silent = "_handle_critical_error"
    monkeypatch.setattr(ContinuousBatchingManager, silent, lambda *_: None)
    served = Served(engine, requests=6, concurrency=2).end()
    assert served.error is None
    assert {event.error for event in served.of(RequestFailed)} == {
        "continuous batching has stopped"
    }
    assert len(served.of(Ended)) == 6
    assert len(served.of(RequestFinished)) >= 4


@pytest.mark.parametrize("name", ["batch", "threads"])
def test_a_generate_that_returns_before_all_tokens_are_out_fails_its_requests(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = make(name)
    generate = engine.loaded.model.generate

    def short(*args: Any, max_new_tokens: int, **kwargs: Any) -> Any:
        return generate(*args, max_new_tokens=max_new_tokens - 2, **kwargs)

    monkeypatch.setattr(engine.loaded.model, "generate", short)
    served = Served(engine, requests=4, concurrency=2).end()
    assert served.error is None
    assert served.tokens == dict.fromkeys(range(4), OUTPUT - 2)
    assert len(served.of(RequestFailed)) == 4
    assert all("ended before its last token" in event.error for event in served.of(RequestFailed))
    assert not served.of(RequestFinished)
