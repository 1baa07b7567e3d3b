"""A tiny Llama with random weights, and a way to run an engine on it and see what it told."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llamatop.engines.base import Engine
from llamatop.engines.detokenize import Numbers
from llamatop.engines.loading import Loaded, load
from llamatop.engines.outbox import Outbox
from llamatop.engines.resolve import resolve
from llamatop.engines.sizes import Size, alike
from llamatop.engines.work import Plan, Work
from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import (
    AnyEvent,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    TokensEmitted,
)
from llamatop.settings.config import RunConfig

TINY = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
    "initializer_range": 0.3,
    "torch_dtype": "float32",
}
"""Its wide weights make greedy text vary, so that two engines agree only if both are right."""

PROMPT, OUTPUT = 20, 6
Ended = RequestFinished | RequestFailed | RequestCancelled


class Served:
    """An engine at work on a plan, in a thread of its own, and what it told."""

    def __init__(
        self,
        engine: Engine,
        requests: int | None,
        concurrency: int,
        output: int = OUTPUT,
        size: Callable[[int], Size] | None = None,
    ) -> None:
        self.outbox = Outbox()
        self.outbox.detokenizer = Numbers()
        plan = Plan(0, concurrency, requests, size or alike(PROMPT, output))
        self.work = Work(plan, itertools.count(), MonotonicClock(), self.outbox)
        self.error: BaseException | None = None
        self.events: list[AnyEvent] = []
        self._engine = engine
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._engine.serve(self.work)
        except BaseException as error:
            self.error = error

    def end(self, seconds: float = 60) -> Served:
        """Wait until the engine returns."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the engine hangs"
        self.look()
        return self

    def until(self, enough: Any, seconds: float = 60) -> Served:
        """Wait until `enough(self)` holds."""
        for _ in range(int(seconds * 100)):
            self.look()
            if enough(self):
                return self
            assert self._thread.is_alive(), f"the engine has returned: {self.error}"
            threading.Event().wait(0.01)
        raise AssertionError("waited in vain")

    def look(self) -> None:
        self.events += self.outbox.drain()

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def tokens(self) -> dict[int, int]:
        """Tokens of each request."""
        counts: dict[int, int] = defaultdict(int)
        for event in self.of(TokensEmitted):
            counts[event.request] += event.count
        return dict(counts)

    @property
    def text(self) -> dict[int, str]:
        """Text of each request."""
        texts: dict[int, str] = defaultdict(str)
        for event in self.of(TokensEmitted):
            texts[event.request] += event.text
        return dict(texts)

    @property
    def most_in_flight(self) -> int:
        in_flight = most = 0
        for event in self.events:
            if isinstance(event, RequestAdmitted):
                in_flight += 1
            elif isinstance(event, Ended):
                in_flight -= 1
            most = max(most, in_flight)
        return most


def write_config(folder: Path, **changes: Any) -> Path:
    """The tiny Llama's config.json with changes, in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(msgspec.json.encode(TINY | changes))
    return folder


def tiny_run(folder: Path, **changes: Any) -> RunConfig:
    settings = {"weights": "random", "prompt_toks": PROMPT, "gen_toks": OUTPUT, "device": "cpu"}
    return RunConfig(model=str(folder), **(settings | changes))


def load_tiny(folder: Path, **changes: Any) -> Loaded:
    config = tiny_run(folder, **changes)
    return load(config, resolve(config, silent), silent)


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Loaded:
    return load_tiny(tiny_folder)


@pytest.fixture(scope="session")
def tiny_config(tiny_folder: Path) -> RunConfig:
    return tiny_run(tiny_folder)
