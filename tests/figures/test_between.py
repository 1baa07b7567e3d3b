"""Where the time to a first token went, and what the servers told of the same stretch."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    ReplicaSampled,
    RequestSent,
    ServerKnown,
    SlotFacts,
    SlotsSampled,
    TokensCounted,
)
from llamatop.figures.between import FirstToken, first_token, recent_first_token, told
from llamatop.figures.levels import level_figures
from llamatop.reports.between import between_json, between_rows
from llamatop.session.reducer import Session
from tests.served import MS, served_events, session_of

EVENTS = served_events(late=3 * MS)
"""Sent 3 ms late, the status line 2 ms after that."""


def named(events: Iterable[Event], name: str) -> list[Event]:
    return [replace(e, name=name) if isinstance(e, ServerKnown) else e for e in events]


def with_prefill(events: Iterable[Event], seconds: float) -> list[Event]:
    return [replace(e, prefill=seconds) if isinstance(e, TokensCounted) else e for e in events]


def watched(events: Iterable[Event], *samples: Event) -> Session:
    return session_of(sorted([*events, *samples], key=lambda event: event.time))


def sums(second: int, queue: float, prefill: float, count: int) -> ReplicaSampled:
    """What vLLM had told by a second."""
    told = {
        "vllm:request_queue_time_seconds_sum": queue,
        "vllm:request_queue_time_seconds_count": float(count),
        "vllm:request_prefill_time_seconds_sum": prefill,
        "vllm:request_prefill_time_seconds_count": float(count),
    }
    return ReplicaSampled(second * SECOND, server=0, replica="0", counters=told)


def of_last_level(session: Session) -> FirstToken:
    figures = level_figures(session, list(session.levels.values())[-1])
    assert figures.first_token is not None and figures.ttft is not None
    assert figures.first_token.ttft == pytest.approx(figures.ttft.mean)
    return figures.first_token


def test_the_parts_add_up_to_the_mean() -> None:
    first = of_last_level(session_of(with_prefill(EVENTS, 0.001)))
    parts = first.parts()
    assert sum(part or 0.0 for part in parts.values()) == pytest.approx(first.ttft)
    assert list(parts) == ["held", "late", "connect", "queue", "prefill", "rest"]
    assert parts["late"] == pytest.approx(0.003)
    assert parts["queue"] == pytest.approx(0.002), "llama.cpp's status line comes out of its queue"
    assert parts["prefill"] == pytest.approx(0.001)
    assert parts["rest"] is not None and parts["rest"] > 0 and not first.shared


def test_what_nobody_tells_is_part_of_the_rest() -> None:
    first = of_last_level(session_of(named(EVENTS, "transformers")))
    assert first.queue is None and first.prefill is None
    assert first.rest == pytest.approx(first.ttft - 0.003)


def test_a_servers_sums_give_means_over_the_level() -> None:
    events = named(EVENTS, "vllm")
    session = session_of(events)
    level = list(session.levels.values())[-1]
    start, end = level.requests[0].scheduled // SECOND, -(-session.now // SECOND)
    mean = of_last_level(session).ttft
    samples = sums(start, 10.0, 20.0, 100), sums(end, 10.0 + 24 * 0.25 * mean, 20.0, 124)
    first = of_last_level(watched(events, *samples))
    assert first.queue == pytest.approx(0.25 * mean) and first.prefill == 0
    assert not first.shared


def test_sums_that_exceed_what_ours_took_are_of_others() -> None:
    events = named(EVENTS, "vllm")
    session = session_of(events)
    level = list(session.levels.values())[-1]
    start, end = level.requests[0].scheduled // SECOND, -(-session.now // SECOND)
    first = of_last_level(watched(events, sums(start, 0, 0, 0), sums(end, 500.0, 0, 5)))
    assert first.shared and first.queue is None
    assert first.rest == pytest.approx(first.ttft - 0.003)


def test_without_a_first_token_there_are_no_parts() -> None:
    session = session_of(EVENTS)
    level = list(session.levels.values())[-1]
    assert first_token(session, [], 0, SECOND) is None
    assert recent_first_token(session, level, -1) is None
    recent = recent_first_token(session, level, session.now)
    assert recent is not None and recent.requests == sum(r.state == "done" for r in level.requests)


@pytest.mark.parametrize("slots", [False, True])
def test_tokens_per_second_are_those_between_the_looks_within(slots: bool) -> None:
    """Ten a second; the looks do not fall on the edges of the stretch."""
    samples: list[Event] = []
    for second in range(10):
        time, made = second * SECOND + SECOND // 3, 10 * second
        busy = SlotFacts(0, True, task=1, held=made, decoded=made if slots else None, context=200)
        counters = {"llamacpp:tokens_predicted": 0.0 if slots else float(made)}
        gauges = {"llamacpp:requests_processing": 1.0, "llamacpp:requests_deferred": float(second)}
        told_ = ReplicaSampled(time, server=0, replica="0", gauges={**gauges}, counters=counters)
        samples += [told_, SlotsSampled(time, 0, (busy,))] if slots else [told_]
    found = told(session_of(samples), 2 * SECOND, 8 * SECOND)
    assert found is not None and found.generation_rate == pytest.approx(10)
    assert (found.running, found.waiting) == (1, 7)
    assert found.kv_usage == (70 / 200 if slots else None)
    short = told(session_of(samples), 2 * SECOND, 4 * SECOND)
    assert short is not None and short.generation_rate is None, "too few looks for a rate"
    assert told(session_of(samples), 20 * SECOND, 30 * SECOND) is None


def test_a_level_tells_what_a_million_tokens_cost() -> None:
    session = session_of(EVENTS)
    figures = level_figures(session, list(session.levels.values())[-1])
    told_ = between_json(figures, 3.6)
    rate = figures.output_rate
    assert rate is not None
    assert told_["cost_per_million_tokens"] == pytest.approx(1000 / rate)
    assert between_json(figures, None)["cost_per_million_tokens"] is None
    names = [name for name, _ in between_rows(figures, 3.6)]
    assert names == ["TTFT, mean", "cost"], "no server was watched"
    assert "queue 2.00 ms" in between_rows(figures, None)[0][1]


def test_a_request_whose_times_are_not_in_order_has_no_parts() -> None:
    whole = of_last_level(session_of(EVENTS))
    sent = [event for event in EVENTS if isinstance(event, RequestSent)][-1]
    early = [replace(e, due=0) if e is sent else e for e in EVENTS]
    session = session_of(early)
    told = level_figures(session, list(session.levels.values())[-1]).first_token
    assert told is not None
    assert told.requests == whole.requests - 1
    assert told.held == pytest.approx(whole.held)
