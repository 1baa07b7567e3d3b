"""The load's options, a whole run each: what is told live is what its recording says again."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conftest import Llamatop

SHORT = ("--engine", "scripted", "--gen-toks", "3", "--out", "run.parquet")


@pytest.mark.parametrize(
    "load",
    [
        "--turns 3 --requests 6",
        "--prefix-toks 64 --prefixes 2 --requests 4",
        "--ramp 5:20 --max-time 1",
        "--prompts trace.jsonl --speed 2",
    ],
)
def test_a_replay_says_what_the_run_said(llamatop: Llamatop, load: str) -> None:
    lines = [{"timestamp": 40 * n, "input_length": 9, "output_length": 3} for n in range(9)]
    (llamatop.folder / "trace.jsonl").write_text("\n".join(map(json.dumps, lines)))
    live = llamatop("--record", "--json", *SHORT, *load.split())
    assert live.code == 0, live.err
    again = llamatop("replay", "run.parquet", "--json")
    assert (again.code, again.out) == (0, live.out)
    (level,) = again.json["levels"]
    assert level["requests"] >= level["completed"] > 0
    assert bool(level["turns"]) == ("turns" in load)
    assert (level["asked_request_s"] is None) == ("ramp" not in load and "trace" not in load)
