"""Ray Serve LLM, driven and watched, where it is installed (`install_ray.sh`)."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamatop.catalog import demo_folder
from tests.end_to_end.conftest import Llamatop
from tests.servers import running
from tests.servers.running import Server
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return running.free_port()


@pytest.fixture(scope="module")
def ray(folder: Path, metrics_port: int) -> Iterator[Server]:
    """Ray Serve LLM, once its replica answers."""
    environment = Path(os.environ.get("LLAMATOP_RAY", ".ray")).absolute()
    if not (environment / "bin" / "python").exists():
        pytest.skip("Ray is not installed: tests/servers/install_ray.sh, or set LLAMATOP_RAY")
    server = running.ray_llm(demo_folder(), environment, folder / "ray.log", metrics_port)
    try:
        yield server
    finally:
        server.stop()


def generated(port: int) -> float:
    """Tokens by the counter on the node's metrics port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        page = answer.read().decode()
    return sum(
        map(float, re.findall(r"^ray_vllm_generation_tokens_total\{.*\} (\S+)$", page, re.M))
    )


def test_it_is_driven_and_its_metrics_port_is_watched(
    llamatop: Llamatop, ray: Server, metrics_port: int
) -> None:
    done = llamatop("--record", "--json", "--url", ray.url, "--tokenizer", str(demo_folder()),
                    "--concurrency", "1", "4", "--prompt-toks", "64", "--gen-toks", "32",
                    "--requests", "8", "--out", "run.parquet")  # fmt: skip
    assert done.code == 0, done.err
    [server] = done.json["server"]
    assert (server["name"], server["model"], server["context"]) == ("ray", "demo", 2048)
    assert server["tokens_by"] == "token_ids"
    for level in done.json["levels"]:
        assert (level["completed"], level["output_tokens"], level["short"]) == (8, 8 * 32, 0)
        assert (level["prompt_tokens"], level["estimated_tokens"]) == (8 * 64, 0)
    until(lambda: generated(metrics_port) >= 2 * 8 * 32)
    node = f"http://127.0.0.1:{metrics_port}"
    [watched] = llamatop("attach", "--once", "--json", "--url", node).json["servers"]
    assert (watched["name"], watched["state"]) == ("ray", "up")
    assert watched["total"]["generation_tokens"] == generated(metrics_port)
