"""Pages of metrics as real servers sent them, and such as none should."""

from __future__ import annotations

import pytest

from llamatop.events.clock import SECOND
from llamatop.events.kinds import ReplicaSampled
from llamatop.figures.buckets import quantile
from llamatop.figures.serving import (
    counter,
    gauge,
    histograms,
    metric_of,
    rate,
    replica_load,
)
from llamatop.reports.origins import server_origins
from llamatop.session.reducer import Session
from llamatop.watch.page import LONGEST_LINE, MOST_REPLICAS, PageError, Pages
from tests.watch.pages import text

DP2, AFTER = "vllm.metrics_dp2.txt", "vllm-0.32.0.metrics-dp2-after.http"


def test_replicas_are_told_apart() -> None:
    told = Pages().read(text(DP2))
    assert list(told) == ["0", "1"]
    assert [one.counters["vllm:generation_tokens"] for one in told.values()] == [3616, 3648]
    assert told["0"].gauges["vllm:num_requests_waiting_by_reason{reason=capacity}"] == 0
    ttft = told["1"].buckets["vllm:time_to_first_token_seconds"]
    assert ttft["0.04"] == 5 and ttft["0.06"] == 5 and sum(ttft.values()) == 57
    assert list(ttft)[-1] == "+Inf"


def test_only_what_changed_is_told() -> None:
    pages = Pages()
    page = text("llamacpp-b11434.metrics-load.http")
    pages.read(page)
    told = pages.read(page.replace("llamacpp:n_decode_total 263", "llamacpp:n_decode_total 264"))
    assert told["0"].counters == {"llamacpp:n_decode": 264}
    assert not told["0"].gauges and not told["0"].buckets


def test_what_says_nothing_here_is_left_alone() -> None:
    told = Pages().read(text("vllm-0.32.0.metrics-fresh.http"))["0"]
    assert not any(name.endswith("_created") for name in told.counters)
    assert "vllm:prompt_tokens_cached" not in {**told.gauges, **told.counters}
    assert "vllm:request_prompt_tokens" not in told.buckets


def test_a_counter_that_stands_there_twice_counts_once() -> None:
    page = (
        'ray_vllm_generation_tokens{engine="0"} 7\nray_vllm_generation_tokens_total{engine="0"} 7\n'
    )
    assert Pages().read(page)["0"].counters == {"vllm:generation_tokens": 7}


def test_a_gauge_that_is_told_no_more_is_unknown() -> None:
    pages = Pages()
    pages.read('vllm:num_requests_running{engine="0"} 1\nvllm:num_requests_waiting{engine="0"} 0\n')
    told = pages.read('vllm:num_requests_running{engine="0"} 2\n')["0"]
    assert told.gauges == {"vllm:num_requests_running": 2, "vllm:num_requests_waiting": None}


@pytest.mark.parametrize(
    "bad",
    [
        'vllm:num_requests_running{engine="0"} many\n',
        f'vllm:num_requests_running{{engine="{"0" * LONGEST_LINE}"}} 1\n',
        "".join(f'vllm:num_requests_running{{engine="{n}"}} 1\n' for n in range(MOST_REPLICAS + 1)),
    ],
)
def test_a_bad_page_is_refused(bad: str) -> None:
    with pytest.raises(PageError):
        Pages().read(bad)


def test_after_a_bad_page_the_next_is_read() -> None:
    pages = Pages()
    pages.read('vllm:num_requests_running{engine="0"} 1\n')
    with pytest.raises(PageError):
        pages.read('vllm:num_requests_running{engine="0"} one\n')
    assert pages.read('vllm:num_requests_running{engine="0"} 3\n')["0"].gauges == {
        "vllm:num_requests_running": 3
    }


def ttft(counts: dict[str, int], tokens: int) -> str:
    """A page of one histogram, by bound as a server tells it, and of one counter."""
    name = "vllm:time_to_first_token_seconds_bucket"
    lines = [f'{name}{{engine="0",le="{bound}"}} {count}' for bound, count in counts.items()]
    return "\n".join([*lines, f'vllm:generation_tokens_total{{engine="0"}} {tokens}', ""])


def looked(session: Session, pages: Pages, text: str) -> None:
    """One look, a second after the one before."""
    for replica, told in pages.read(text).items():
        session.apply(
            ReplicaSampled(
                session.now + SECOND, server=0, replica=replica, gauges=told.gauges,
                counters=told.counters, buckets=told.buckets,
            )
        )  # fmt: skip


@pytest.mark.parametrize("tokens", [5, 5000])
def test_a_histogram_that_has_other_buckets_counts_by_those_alone(tokens: int) -> None:
    """A server that began again with other bounds; once it had made more tokens than before."""
    session, pages = Session(), Pages()
    looked(session, pages, ttft({"0.1": 0, "0.2": 50, "1.0": 60, "+Inf": 60}, 900))
    looked(session, pages, ttft({"0.1": 0, "0.2": 52, "1.0": 62, "+Inf": 64}, 1000))
    looked(session, pages, ttft({"0.1": 0, "0.5": 4, "+Inf": 6}, tokens))
    replica = session.watched[0].replicas["0"]
    assert len(replica.restarts) == 1
    found = histograms(replica, SECOND).of["ttft_s"]
    assert min(found.values()) == 0 and (found["0.5"], found["+Inf"]) == (4, 2), "since it began"
    looked(session, pages, ttft({"0.1": 0, "0.5": 14, "+Inf": 17}, tokens + 10))
    found = histograms(replica, SECOND).of["ttft_s"]
    assert (found["0.5"], sum(found.values())) == (10, 11), "by what was told before alone"
    p50 = quantile(found, 0.5)
    assert p50 is not None and p50.value is not None
    if tokens < 1000:
        assert p50.value == pytest.approx(0.1 + 0.4 * 0.55), "between the bounds of now"
    assert len(replica.restarts) == 1


def test_bounds_that_come_later_are_counted_from_then_on() -> None:
    session, pages = Session(), Pages()
    looked(session, pages, ttft({"0.1": 0, "+Inf": 2}, 10))
    looked(session, pages, ttft({"0.1": 1, "0.5": 3, "+Inf": 5}, 20))
    replica = session.watched[0].replicas["0"]
    found = histograms(replica, None).of["ttft_s"]
    assert min(found.values()) >= 0
    assert not any(value < 0 for sample in replica.samples for value in sample.counters.values())


def test_one_metric_less_leaves_the_others_as_they_were() -> None:
    session, pages = Session(), Pages()
    page = text("vllm-0.32.0.metrics-fresh.http")
    looked(session, pages, page)
    less = "\n".join(x for x in page.splitlines() if not x.startswith("vllm:kv_cache_usage"))
    looked(session, pages, less + "\n")
    replica = session.watched[0].replicas["0"]
    assert gauge(replica.now, "kv_usage") is None
    assert gauge(replica.now, "running") == 0
    assert not replica.restarts


def test_a_server_that_begins_again_twice_has_no_negative_rate() -> None:
    session, pages = Session(), Pages()
    for tokens in (900, 1000, 5, 30, 2, 40):
        looked(session, pages, ttft({"0.1": tokens // 3, "+Inf": tokens // 2}, tokens))
        replica = session.watched[0].replicas["0"]
        now = rate(replica, "generation_tokens", SECOND)
        assert now is None or now >= 0
        assert min(histograms(replica, SECOND).of["ttft_s"].values()) >= 0
    assert len(replica.restarts) == 2
    assert counter(replica.now, "generation_tokens") == 100 + 5 + 25 + 2 + 38


def test_a_counter_that_is_told_no_more_is_unknown_until_it_is_told_again() -> None:
    session, pages = Session(), Pages()
    rest = 'vllm:num_requests_running{engine="0"} 1\n'

    def now(tokens: int | None) -> float | None:
        told = "" if tokens is None else f'vllm:generation_tokens_total{{engine="0"}} {tokens}\n'
        looked(session, pages, rest + told)
        return replica_load(session.watched[0], session.watched[0].replicas["0"]).generation_rate

    assert [now(100), now(110), now(120)] == [None, 10, 10]
    before = session.copy()
    assert [now(None), now(None)] == [None, None]
    replica = session.watched[0].replicas["0"]
    assert metric_of(replica, "generation_tokens") is None
    assert replica_load(session.watched[0], replica).generation_tokens is None
    why = {(one.name, one.value): one.source for one in server_origins(session, 0)}
    assert why["tok/s", "N/A"] == "it tells vllm:generation_tokens no more"
    assert why["generated", "N/A"] == "it tells vllm:generation_tokens no more"
    assert now(160) == 12, "over the seconds of which nothing was told too"
    assert [now(None), now(5)] == [None, (60 + 5 - 20) / 5], "it began again"
    assert len(session.watched[0].replicas["0"].restarts) == 1
    assert metric_of(before.watched[0].replicas["0"], "generation_tokens") is not None


def test_a_server_that_began_again_without_a_counter_has_begun_again_once() -> None:
    session, pages = Session(), Pages()
    names = ("prompt_tokens", "generation_tokens")
    for told in ((90, 900), (100, 1000), (5, None), (7, 20), (9, 30)):
        lines = [f"vllm:{name}_total {value}" for name, value in zip(names, told, strict=True)
                 if value is not None]  # fmt: skip
        looked(session, pages, "\n".join([*lines, ""]))
    replica = session.watched[0].replicas["0"]
    assert len(replica.restarts) == 1
    assert counter(replica.now, "prompt_tokens") == 10 + 9
    assert counter(replica.now, "generation_tokens") == 100 + 30


def test_one_of_two_spellings_less_is_no_loss() -> None:
    pages = Pages()
    pages.read('ray_vllm_generation_tokens{engine="0"} 7\nvllm:generation_tokens{engine="0"} 7\n')
    assert not pages.read('vllm:generation_tokens{engine="0"} 7\n')["0"].counters
