"""Imported times against what the mock server saw: when each request came, when each chunk left.

A wall clock is the same machine's; a monotonic one is laid over the server's by the quickest chunk.
A client that is busy reads late, never early.
"""

from __future__ import annotations

import json
from statistics import median

import numpy as np
import pytest

from llamatop.imports.told import Told
from tests.imports.peers import FOLDER, run_in

MS = 1e6

CASES = {
    "vllm2": ("vllm-bench-serve-0.32.0/mock-error-event.json", 1),
    "aiperf2": ("aiperf-0.13.0/mock-error-event", 0),
    "guidellm": ("guidellm-0.8.1/mock-error-event.json", 0),
    "infperf": ("inference-perf-0.7.0/mock-error-event", 0),
    "benchy": ("llama-benchy-0.4.0/mock-error-event.progress.jsonl", 0),
}
"""The true times, the file, and how many chunks come before the first token: vLLM's role chunk."""


def arrivals(one: Told, before: int) -> list[int]:
    """When tokens came; where only first and last are known, these."""
    chunks = [int(time) for time in one.chunks[before:]]
    return chunks if one.rest_at is None else [*chunks, one.rest_at]


def departures(sent: list[int], arrived: int) -> list[int]:
    return sent if len(sent) == arrived else [sent[0], sent[-1]]


@pytest.mark.parametrize("case", CASES)
def test_sends_and_tokens_are_when_the_server_saw_them(case: str) -> None:
    file, before = CASES[case]
    lines = (FOLDER / "mock-truth" / f"{case}.jsonl").read_text().splitlines()
    truth = sorted((json.loads(line) for line in lines), key=lambda one: one["sent"][0])
    run = run_in(FOLDER / file)
    told = [one for level in run.levels for one in level.requests]
    told.sort(key=lambda one: arrivals(one, before)[0])
    late, waits = [], []
    for one, true in zip(told, truth, strict=True):
        came = arrivals(one, before)
        left = departures(true["sent"], len(came))
        assert len(came) == len(left)
        late += [a - b for a, b in zip(came, left, strict=True)]
        waits.append(true["got"] - one.sent)
    shift = min(late) if "monotonic" in run.clock else 0
    late = [value - shift for value in late]
    waits = [value + shift for value in waits]
    assert min(late) > -4 * MS
    assert median(late) < 3 * MS
    assert np.quantile(late, 0.9) < 10 * MS
    assert min(waits) > 0
    assert median(waits) < 30 * MS
