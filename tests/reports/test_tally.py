"""Requests that are counted as they end: which way, at which concurrency, with which tokens."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineLost,
    HostFacts,
    LevelStarted,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    RunStarted,
    TokensCounted,
    TokensEmitted,
    TokensSummed,
)
from llamatop.reports.tally import LATENCY, Histogram, Tally
from llamatop.settings.config import RunConfig


def begun(concurrency: int = 2) -> Tally:
    tally = Tally()
    host = HostFacts("", "", 1, None, "")
    tally.write([RunStarted(0, RunConfig(), host, "", ""), LevelStarted(0, 0, concurrency, 9)])
    return tally


def sent(tally: Tally, request: int, *, warmup: bool = False, tokens: int = 3) -> None:
    """Queued at 0 s, admitted at 1 s, its tokens at 2 s, 3 s and so on."""
    tally.write([RequestQueued(0, request, 0, 10, 8, warmup), RequestAdmitted(SECOND, request, 0)])
    tally.write([TokensEmitted((2 + n) * SECOND, request, 1) for n in range(tokens)])


def test_each_end_is_counted_and_only_completed_ones_have_latencies() -> None:
    tally = begun()
    for request in range(3):
        sent(tally, request)
    tally.write([RequestQueued(0, 3, 0, 10, 8)])
    assert (tally.in_flight, tally.waiting) == (3, 1)
    ends = [RequestFinished(5 * SECOND, 0, "length"), RequestFailed(5 * SECOND, 1, "boom")]
    tally.write([*ends, RequestCancelled(5 * SECOND, 2), RequestCancelled(5 * SECOND, 3)])
    counts = tally.levels[2]
    assert counts.requests == {"completed": 1, "failed": 1, "cancelled": 2}
    assert (counts.output_tokens, counts.prompt_tokens) == (9, 40)
    spans = (counts.queue, counts.ttft, counts.e2e, counts.tpot)
    assert [one.total for one in spans] == [1, 2, 4, 1]
    assert [sum(one.counts) for one in spans] == [1, 1, 1, 1]
    assert (counts.itl.total, sum(counts.itl.counts)) == (2, 2)
    assert (tally.in_flight, tally.waiting) == (0, 0)


def test_warm_up_is_in_no_count() -> None:
    tally = begun()
    sent(tally, 0, warmup=True)
    assert tally.in_flight == 1
    tally.write([RequestFinished(9 * SECOND, 0, "length")])
    assert not any(tally.levels[2].requests.values()) and not tally.levels[2].output_tokens


def test_a_lost_engine_fails_what_is_in_flight() -> None:
    tally = begun()
    sent(tally, 0)
    tally.write([EngineLost(4 * SECOND, -9, "killed"), RunEnded(5 * SECOND, "failed")])
    assert tally.levels[2].requests["failed"] == 1
    assert (tally.in_flight, tally.running) == (0, False)
    tally.write([RequestFailed(6 * SECOND, 0, "late")])
    assert tally.levels[2].requests["failed"] == 1, "it has ended"


def test_what_a_server_counts_at_the_end_stands_for_what_was_guessed() -> None:
    tally = begun()
    sent(tally, 0, tokens=4)
    tally.write([TokensCounted(6 * SECOND, request=0, by="usage", count=7)])
    tally.write([RequestFinished(6 * SECOND, 0, "length")])
    assert tally.levels[2].output_tokens == 7
    assert tally.levels[2].tpot.total == 3 / 6, "2 s to 5 s, for six tokens after the first"


def test_tokens_told_in_one_sum_have_no_gaps_and_uncounted_ones_no_pace() -> None:
    tally = begun()
    for request, count in ((0, 9), (1, None)):
        sent(tally, request, tokens=1)
        tally.write([TokensSummed(11 * SECOND, request, count)])
        tally.write([RequestFinished(11 * SECOND, request, "length")])
    counts = tally.levels[2]
    assert (counts.output_tokens, counts.e2e.total, sum(counts.itl.counts)) == (11, 22, 0)
    assert (sum(counts.tpot.counts), counts.tpot.total) == (1, 1)


def test_counts_go_on_over_a_next_run_and_what_flew_is_gone() -> None:
    tally = begun()
    sent(tally, 0)
    tally.write([RequestFinished(9 * SECOND, 0, "length")])
    sent(tally, 1)
    host = HostFacts("", "", 1, None, "")
    tally.write([RunStarted(0, RunConfig(), host, "", ""), LevelStarted(0, 0, 2, 9)])
    assert tally.in_flight == 0 and tally.running
    sent(tally, 0)
    tally.write([RequestFinished(9 * SECOND, 0, "length")])
    assert tally.levels[2].requests["completed"] == 2


def test_a_value_at_the_end_of_a_bucket_belongs_to_it() -> None:
    seen = Histogram(LATENCY)
    for value in (0.001, 0.0011, 300, 301):
        seen.see(value)
    assert (seen.counts[0], seen.counts[1], seen.counts[-2], seen.counts[-1]) == (1, 1, 1, 1)
