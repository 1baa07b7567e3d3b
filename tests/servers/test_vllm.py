"""The client on vLLM, where it is installed (`install_vllm.sh`)."""

from __future__ import annotations

import re

import pytest

from tests.end_to_end.conftest import Llamatop
from tests.servers.running import Server

pytestmark = pytest.mark.slow


def generated(server: Server) -> float:
    """Tokens by the server's own counter."""
    found = re.findall(r"^vllm:generation_tokens_total\{.*\} (\S+)$", server.get("/metrics"), re.M)
    return sum(map(float, found))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_totals_are_those_of_vllm_itself(endpoint: str, llamatop: Llamatop, vllm: Server) -> None:
    before = generated(vllm)
    done = llamatop("--record", "--json", "--url", vllm.url, "--endpoint", endpoint,
                    "--concurrency", "1", "4", "--prompt-toks", "64", "--gen-toks", "32",
                    "--requests", "8", "--out", "run.parquet")  # fmt: skip
    assert done.code == 0, done.err
    [server] = done.json["server"]
    assert (server["name"], server["version"], server["model"]) == ("vllm", "0.32.0", "demo")
    assert (server["context"], server["tokens_by"]) == (2048, "token_ids")
    for level in done.json["levels"]:
        assert (level["completed"], level["output_tokens"]) == (8, 8 * 32)
        assert (level["estimated_tokens"], level["short"]) == (0, 0)
        assert level["cached_prompt_tokens"] is None, "it tells them only when asked to"
        if endpoint == "completions":
            assert level["prompt_tokens"] == 8 * 64
    assert generated(vllm) - before >= 2 * 8 * 32


@pytest.mark.timeout(400)
def test_what_the_context_cuts_is_told(llamatop: Llamatop, vllm: Server) -> None:
    done = llamatop("--record", "--json", "--url", vllm.url, "--prompt-toks", "2000",
                    "--gen-toks", "100", "--requests", "2")  # fmt: skip
    [level] = done.json["levels"]
    assert (level["completed"], level["short"], level["output_tokens"]) == (2, 2, 96)


@pytest.mark.timeout(400)
def test_a_model_that_is_not_there_is_one_line(llamatop: Llamatop, vllm: Server) -> None:
    done = llamatop("--record", "--url", vllm.url, "--model", "another")
    assert done.code == 2
    assert "another" in done.err
