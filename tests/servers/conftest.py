"""One server of each kind for the whole of the tests, started when a test first asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from llamatop.engines.gguf_demo import demo_gguf
from tests.end_to_end.conftest import llamatop
from tests.servers import running
from tests.servers.driving import Driven
from tests.servers.running import Server
from tests.servers.scripted_client import Scripted

__all__ = ["llamatop"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the servers' logs and of the model as llama.cpp reads it."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def gguf(folder: Path) -> Path:
    """The bundled model as GGUF."""
    return demo_gguf(folder / "demo.gguf")


ONE_THREAD = {"cpuparams__n_threads": 1, "cpuparams_batch__n_threads": 1}
"""llama.cpp's threads wait for one another without sleeping: two are slow on busy cores."""


@pytest.fixture(scope="session")
def llamacpp(gguf: Path, folder: Path) -> Iterator[Server]:
    """llama.cpp with four slots that share a context of 2048 tokens, for all tests."""
    shape = {"n_parallel": 4, "n_ctx": 2048, "kv_unified": True, **ONE_THREAD}
    yield from _running(running.llamacpp(gguf, folder / "llamacpp.log", **shape))


@pytest.fixture
def own_llamacpp(gguf: Path, tmp_path: Path) -> Iterator[Server]:
    """A llama.cpp that the test may kill and start again."""
    shape = {"n_parallel": 2, "n_ctx": 2048, **ONE_THREAD}
    yield from _running(running.llamacpp(gguf, tmp_path / "own.log", **shape))


@pytest.fixture(scope="session")
def transformers_serve(folder: Path) -> Iterator[Server]:
    """`transformers serve` on the bundled model, for all tests."""
    yield from _running(running.transformers_serve(demo_folder(), folder / "transformers.log"))


@pytest.fixture(scope="session")
def vllm(folder: Path) -> Iterator[Server]:
    """vLLM, where it is installed."""
    environment = Path(os.environ.get("LLAMATOP_VLLM", ".vllm")).absolute()
    if not (environment / "bin" / "python").exists():
        pytest.skip("vLLM is not installed: tests/servers/install_vllm.sh, or set LLAMATOP_VLLM")
    yield from _running(running.vllm(demo_folder(), environment, folder / "vllm.log"))


@pytest.fixture(scope="session")
def scripted_server(folder: Path) -> Iterator[Server]:
    """The scripted server's process, for all tests."""
    yield from _running(running.scripted(folder / "scripted.log"))


@pytest.fixture(autouse=True)
def undriven() -> Iterator[None]:
    """What a test has driven is closed at its end."""
    yield
    while Driven.all:
        Driven.all.pop().close()


@pytest.fixture
def scripted(scripted_server: Server) -> Scripted:
    """The scripted server with nothing said or logged yet."""
    return Scripted(scripted_server)


def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()
