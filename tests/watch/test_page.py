"""Pages of metrics as real servers sent them, and such as none should."""

from __future__ import annotations

import pytest

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
