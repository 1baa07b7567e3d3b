"""No test reads or fills what llamatop has learnt on this machine, and all try the same examples.

`pytest --hypothesis-profile=default` tries others each time, to find what these do not.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import settings

from tests.known import keep_timings

if TYPE_CHECKING:
    from tests.end_to_end.forks import Forks

settings.register_profile("same", derandomize=True)
settings.load_profile("same")

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Threads of torch that wait give way: tests run side by side, and have children that compute."""

for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)  # readline tells workers so; a terminal of the tests has its own

RUNTIME_BYTES = 400_000_000
"""What an engine's libraries take, as a tracer of its own measures it; the tests' process has more.
"""


def pytest_configure() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported for the tests stays: looking for garbage in it takes a second each time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Roofs and residuals of this run of the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMATOP_CACHE", str(tmp_path_factory.mktemp("cache")))
        keep_timings()
        yield


@pytest.fixture
def traced_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracer answers in this process, where a child would import torch anew each time.

    What it is asked and what it says go through JSON, as they do on the way to a child and back.
    """
    from llamatop.predict import forecast, tracer  # noqa: PLC0415  (torch, only where needed)

    def answer(_module: str, question: Any, kind: type[Any]) -> Any:
        asked = msgspec.json.decode(msgspec.json.encode(question), type=type(question))
        return msgspec.json.decode(msgspec.json.encode(tracer._answer(asked)), type=kind)

    monkeypatch.setattr(forecast, "ask", answer)
    monkeypatch.setattr(tracer, "_runtime_bytes", lambda: RUNTIME_BYTES)


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of this run of the tests share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """What this worker's calls of llamatop are copies of."""
    from tests.end_to_end.forks import Forks  # noqa: PLC0415  (for those who call it)

    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()
