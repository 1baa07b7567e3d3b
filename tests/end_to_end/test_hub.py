"""What a Hub may refuse, as who starts a run meets it: one line, soon, and nothing left."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.engines.conftest import TINY
from tests.engines.fake_hub import FakeHub

from .conftest import Done, Llamatop

NAME = "someone/tiny"
TOKEN = "hf_" + "canary" * 5
FILES = {"config.json": msgspec.json.encode(TINY), "model.safetensors": b"x" * 5000}
MOST_ASKED = 3
"""Of any one address: what answers so is not asked again and again."""


@pytest.fixture
def ask(llamatop: Llamatop) -> Callable[..., Done]:
    def asked(hub: FakeHub) -> Done:
        return llamatop(
            "--record", "--model", NAME, "--out", "run.parquet",
            HF_ENDPOINT=hub.url, HF_TOKEN=TOKEN, HF_HUB_DISABLE_XET="1",
        )  # fmt: skip

    return asked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "answer", "told"),
    [
        ("/api/models", (401, "RepoNotFound"), "not on the Hub, or private"),
        ("/api/models", (404, "RevisionNotFound"), "no such revision"),
        ("/api/models", (429, ""), "too many requests (429)"),
        ("/resolve/", (403, ""), "refuses the token"),
        ("/resolve/", (429, ""), "too many requests (429)"),
        ("/resolve/", (503, ""), "answers 503"),
        ("auth-check", (403, "GatedRepo"), "gated: accept its licence"),
    ],
)
def test_a_refusal_is_one_line_soon(
    ask: Callable[..., Done], llamatop: Llamatop, part: str, answer: tuple[int, str], told: str
) -> None:
    hub = FakeHub(NAME, FILES, gated=part == "auth-check")
    hub.refusals[part] = answer
    refused(ask(hub), told, llamatop)
    assert max(map(hub.asked.count, hub.asked)) <= MOST_ASKED, hub.asked


@pytest.mark.slow
def test_a_hub_that_is_not_there(ask: Callable[..., Done], llamatop: Llamatop) -> None:
    hub = FakeHub(NAME, FILES)
    hub.shutdown()
    hub.server_close()
    refused(ask(hub), "the Hub cannot be reached", llamatop)


def refused(done: Done, told: str, llamatop: Llamatop) -> None:
    assert done.code == 2, done.err
    (line,) = [one for one in done.err.splitlines() if not one.startswith("loading")]
    assert line.startswith(f"llamatop: --model {NAME}: ") and told in line
    assert TOKEN not in done.err + done.out
    assert not [*llamatop.folder.glob("run.parquet*")]
