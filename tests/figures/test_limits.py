"""Limits as they are spelled, who differs, and what binds: on loads that tests make up."""

from __future__ import annotations

import pytest

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    ReplicaSampled,
    ServerSeen,
    ServerStood,
    SlotFacts,
    SlotsSampled,
)
from llamatop.figures.binding import bound
from llamatop.figures.cost import per_million
from llamatop.figures.limits import DEFAULTS, limit
from llamatop.figures.odd import odd_one
from llamatop.figures.serving import Load, together
from llamatop.session.reducer import Session


def told(**gauges: float) -> dict[str, float | None]:
    names = {"running": "vllm:num_requests_running", "waiting": "vllm:num_requests_waiting",
             "kv": "vllm:kv_cache_usage_perc",
             "room": "vllm:num_requests_waiting_by_reason{reason=capacity}"}  # fmt: skip
    return {names[name]: value for name, value in gauges.items()}


def session(
    gauges: dict[str, float | None], grown: dict[str, float] | None = None, name: str = "vllm"
) -> Session:
    """One replica that told the same gauges twice, five seconds apart."""
    made = Session()
    made.apply(ServerSeen(0, server=0, url="u", name=name))
    made.apply(ServerStood(0, 0, "up"))
    zero = dict.fromkeys(grown or {}, 0.0)
    made.apply(ReplicaSampled(0, server=0, replica="0", gauges=gauges, counters=zero))
    made.apply(ReplicaSampled(5 * SECOND, server=0, replica="0", counters=grown or {}))
    return made


def words(made: Session) -> tuple[str, str]:
    found = bound(made.watched[0], made.now)
    return found.kind, found.words


def test_what_binds() -> None:
    assert words(session(told(running=0, waiting=0)))[0] == "idle"
    kind, text = words(session(told(running=9, waiting=4, kv=0.97, room=4)))
    assert kind == "kv" and "97 %" in text and "4 wait for room" in text
    assert words(session(told(running=9, waiting=4, kv=0.3)))[0] == "queue"
    preempted = session(told(running=9, waiting=0, kv=0.8), {"vllm:num_preemptions": 3})
    assert words(preempted) == ("kv", "KV cache 80 % full: 3 preempted in 5 s")
    tokens = {"vllm:prompt_tokens": 5000.0, "vllm:generation_tokens": 50.0}
    assert words(session(told(running=3, waiting=0, kv=0.2), tokens))[0] == "prefill"
    tokens = {"vllm:prompt_tokens": 50.0, "vllm:generation_tokens": 500.0}
    kind, text = words(session(told(running=3, waiting=0, kv=0.2), tokens))
    assert kind == "decode" and "3 at once make 100 tok/s" in text


def test_away_is_no_load() -> None:
    made = session(told(running=3, waiting=0))
    made.apply(ServerStood(6 * SECOND, 0, "down", "nothing listens there"))
    assert words(made) == ("away", "down: nothing listens there")


def test_slots_bind_where_none_is_free() -> None:
    made = session({"llamacpp:requests_processing": 2, "llamacpp:requests_deferred": 1},
                   name="llama.cpp")  # fmt: skip
    slots = tuple(SlotFacts(id, True, 1, held=20, decoded=9, context=64) for id in (0, 1))
    made.apply(SlotsSampled(5 * SECOND, 0, slots))
    assert words(made) == ("slots", "all 2 slots are taken, 1 wait")
    load = together(made.watched[0])
    assert load is not None and load.kv_usage == 40 / 64


@pytest.mark.parametrize(
    ("busy", "told_"),
    [
        ((False, False), ("idle", "idle: no slot is busy")),
        ((True, False), ("decode", "1 of 2 slots are busy")),
        ((True, True), ("slots", "all 2 slots are taken")),
    ],
)
def test_slots_alone_tell_what_runs(busy: tuple[bool, ...], told_: tuple[str, str]) -> None:
    made = session({}, name="llama.cpp")
    slots = tuple(SlotFacts(id, taken, 1) for id, taken in enumerate(busy))
    made.apply(SlotsSampled(5 * SECOND, 0, slots))
    assert words(made) == told_


def test_what_is_not_told_is_not_known() -> None:
    made = session({})
    assert words(made) == ("unknown", "not known: it does not tell what runs")
    made.apply(ServerStood(5 * SECOND, 0, "up", "/metrics gives HTTP 404"))
    assert words(made) == ("unknown", "not known: /metrics gives HTTP 404")


@pytest.mark.parametrize(
    ("name", "gauges", "option"),
    [
        ("vllm", told(running=9, waiting=4, kv=0.97), "--gpu-memory-utilization"),
        ("vllm", told(running=9, waiting=4, kv=0.3), "--max-num-seqs"),
        (
            "sglang",
            {"sglang:num_running_reqs": 9, "sglang:num_queue_reqs": 4, "sglang:token_usage": 0.97},
            "--mem-fraction-static",
        ),
        (
            "sglang",
            {"sglang:num_running_reqs": 9, "sglang:num_queue_reqs": 4, "sglang:token_usage": 0.3},
            "--max-running-requests",
        ),
    ],
)
def test_help_names_the_server_s_own_option(
    name: str, gauges: dict[str, float | None], option: str
) -> None:
    made = session(gauges, name=name)
    assert option in bound(made.watched[0], made.now).help


def test_prefill_says_how_much_of_the_prompts_was_cached() -> None:
    grown = {"vllm:prompt_tokens": 5000.0, "vllm:generation_tokens": 50.0,
             "vllm:prefix_cache_queries": 4000.0, "vllm:prefix_cache_hits": 1000.0}  # fmt: skip
    kind, text = words(session(told(running=3, waiting=0, kv=0.2), grown))
    assert kind == "prefill"
    assert text.endswith("1,000 prompt tok/s beside 10.0 made, 25 % of the prompts cached")


@pytest.mark.parametrize(
    ("text", "metric", "bound_", "hold"),
    [
        ("kv_usage>0.9 for 30s", "kv_usage", 0.9, 30),
        ("kv_usage > 90%", "kv_usage", 0.9, 0),
        ("ttft_p99>2 for 1 min", "ttft_p99", 2.0, 60),
        ("generation_tok_s<5 for 10", "generation_tok_s", 5.0, 10),
    ],
)
def test_a_limit(text: str, metric: str, bound_: float, hold: int) -> None:
    found = limit(text)
    assert (found.metric, found.bound, found.hold) == (metric, bound_, hold * SECOND)
    assert found.broken(bound_ * 2) is found.above and not found.broken(None)


@pytest.mark.parametrize("text", ["kv>0.9", "kv_usage", "kv_usage>1.2.3", "kv_usage>x for 3s", ""])
def test_a_limit_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="--alert"):
        limit(text)


def test_the_default_limits_can_be_read() -> None:
    assert [limit(text).spelled for text in DEFAULTS] == list(DEFAULTS)


def load(**values: float) -> Load:
    fields = dict.fromkeys(Load.__dataclass_fields__)
    return Load(**{**fields, "latencies": {}, **values})  # type: ignore[arg-type]


def test_who_differs() -> None:
    alike = {name: load(waiting=3.0, kv_usage=0.5) for name in "abc"}
    assert odd_one(alike) is None
    found = odd_one({**alike, "b": load(waiting=20.0, kv_usage=0.5)})
    assert found == ("b", "waiting 20.0, others 3.00")
    pair = odd_one({"a": load(kv_usage=0.9), "b": load(kv_usage=0.2)})
    assert pair is not None and pair[0] == "a"
    assert odd_one({"a": load(waiting=50.0)}) is None


def test_what_a_million_tokens_cost() -> None:
    assert per_million(2.0, 1000.0) == pytest.approx(2 / 3.6)
    assert per_million(2.0, 0.0) is None and per_million(None, 10.0) is None
