"""What real servers do, and what the client makes of it: rule by rule, against scripted streams.

The scripted server speaks the protocol as the servers in `tests/data/servers` do; what each of its
answers stands for is said in the test.
"""

from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from llamatop.engines.server.crew import processes_for
from llamatop.engines.server.exchange import Exchange
from llamatop.engines.server.known import NOTES
from llamatop.engines.server.orders import Order
from llamatop.engines.server.worker import decode_told
from llamatop.events.clock import ManualClock
from llamatop.events.kinds import (
    ClientSampled,
    LevelEnded,
    RequestFinished,
    RequestReached,
    TokensCounted,
    TokensEmitted,
)
from llamatop.settings.config import RunConfig
from tests.servers.driving import Driven
from tests.servers.scripted_client import Scripted
from tests.waiting import until


def asked(scripted: Scripted) -> list[dict[str, Any]]:
    """The bodies of all requests, those that got to know the server first."""
    return [one["body"] for one in scripted.log()]


def test_rule_1_stages_are_kept_apart_and_in_order(scripted: Scripted) -> None:
    scripted.plays(ttft=0.05, headers_after=0.02, reasoning=3, counts="continuous")
    driven = Driven(scripted.url, endpoint="chat").level(2)
    for request in driven.requests:
        served = request.served
        assert served is not None
        stages = [served.reached[stage] for stage in ("connected", "status", "event", "answer")]
        answer = served.reached["answer"]
        assert [served.due, served.sent, *stages] == sorted([served.due, served.sent, *stages])
        assert served.reached["status"] - served.sent > 15e6  # after the headers were held back
        assert request.times[0] > served.reached["event"]  # the role comes first, and is no token
        before = sum(c for t, c in zip(request.times, request.counts, strict=True) if t < answer)
        assert before <= 3, "thinking comes before the answer"
        assert served.reached["end"] >= request.times[-1]


class Content:
    """Stands for the body of an answer behind aiohttp's protocol: what a read brought."""

    def __init__(self) -> None:
        self.held = b""

    def read_nowait(self) -> bytes:
        data, self.held = self.held, b""
        return data

    def at_eof(self) -> bool:
        return False


async def test_rule_1_a_token_has_the_time_of_its_read_not_of_its_parsing() -> None:
    told: list[Any] = []
    clock = ManualClock()
    sink = SimpleNamespace(emit=lambda *emission: told.append(emission), tell=told.append)
    order = Order(request=7, server=0, due=0, body=b"", by="usage")
    exchange = Exchange(order, sink, clock.now, True, again=False)
    content: Any = Content()
    exchange.follow(content)
    for time in (100, 200):
        content.held = b'data: {"choices":[{"index":0,"text":"a"}]}\n\n' * 2
        exchange.received(time)
        clock.time = time + 50  # a busy loop gets to parsing late
        exchange.parsed()
    emissions = [one for one in told if isinstance(one, tuple)]
    assert emissions == [(7, 100, 2, "aa"), (7, 200, 2, "aa")]


def test_rule_3_a_total_at_the_end_is_spread_over_what_came(scripted: Scripted) -> None:
    scripted.plays(counts="usage", per_event=(1, 3, 0, 2))
    driven = Driven(scripted.url, gen_toks=12).level(2)
    for request in driven.requests:
        assert request.tokens == sum(request.counts) == 12
        assert request.served is not None
        assert request.served.counted
        assert request.served.by == "usage"
    assert driven.session.servers[0].tokens_by == "usage"


@pytest.mark.parametrize("counts", ["token_ids", "continuous", "timings"])
def test_rule_3_tokens_are_exact_as_they_come(scripted: Scripted, counts: str) -> None:
    scripted.plays(counts=counts, per_event=(1, 3, 2))
    driven = Driven(scripted.url, gen_toks=12).level(1)
    assert driven.session.servers[0].tokens_by == counts
    emitted = [e.count for e in driven.of(TokensEmitted) if e.request == driven.requests[0].id]
    assert sum(emitted) == 12, "before the end told any total"
    assert len(emitted) <= 6


def test_rule_3_what_no_server_counts_is_an_estimate(scripted: Scripted) -> None:
    scripted.plays(counts="zeros")
    driven = Driven(scripted.url).level(1)
    assert driven.session.servers[0].tokens_by == "estimate"
    assert any("(~)" in note for note in driven.session.servers[0].notes)
    assert {event.count for event in driven.of(TokensCounted)} == {None}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"finish": None}, "no finish_reason"),  # mlx, a replica that lost its sibling
        ({"finish": None, "done": False}, "no finish_reason"),
        ({"finish": "abort"}, "abort"),
        ({"after": 0, "then": "error"}, "scripted"),
        ({"after": 3, "then": "error"}, "scripted"),
        ({"after": 3, "then": "error", "error": '{"error":"plain words"}'}, "plain words"),
        ({"after": 3, "then": "error", "error": '{"detail":"a detail"}'}, "a detail"),
        ({"after": 3, "then": "error", "error": '{"error": {"mess'}, "mess"),
        ({"after": 3, "then": "eof"}, "closed in the middle"),
        ({"after": 3, "then": "reset"}, "closed in the middle"),
        ({"status": 503, "body": "Service Unavailable"}, "HTTP 503: Service Unavailable"),
        ({"status": 200, "tokens": 0, "finish": None}, "no finish_reason"),
    ],
)
def test_rule_5_only_a_good_reason_is_a_success(
    scripted: Scripted, script: dict[str, Any], words: str
) -> None:
    driven = Driven(scripted.url)
    scripted.plays({}, script)  # the warm-up's and the first
    driven.level(2)
    failed, fine = driven.requests
    assert (failed.state, fine.state) == ("failed", "done")
    assert words in failed.error
    assert len(scripted.log()) == 3, "nothing is sent again by itself"


def test_a_level_in_which_every_request_fails_has_failed(scripted: Scripted) -> None:
    driven = Driven(scripted.url)
    scripted.plays({}, status=400, body='{"error": "too long"}')  # after the warm-up
    driven.level(3)
    driven.level(1)
    for ended in driven.of(LevelEnded):
        assert ended.outcome == "failed"
        assert ended.error == "every request failed: HTTP 400: too long"
    scripted.plays({}, {"status": 400}, {})
    driven.level(2)
    assert driven.of(LevelEnded)[-1].outcome == "ok", "one of two"


@pytest.mark.parametrize("script", [{"done": False}, {"finish": "stop"}, {"finish": "tool_calls"}])
def test_rule_5_done_proves_nothing_and_is_not_needed(
    scripted: Scripted, script: dict[str, Any]
) -> None:
    driven = Driven(scripted.url)
    scripted.plays(**script)
    assert [one.state for one in driven.level(2).requests] == ["done", "done"]


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_rules_6_and_15_fewer_tokens_than_asked_are_told(scripted: Scripted, finish: str) -> None:
    driven = Driven(scripted.url)
    scripted.plays({}, {"tokens": 3, "finish": finish})
    driven.level(2)
    short, whole = driven.requests
    assert (short.state, short.tokens, short.max_tokens) == ("done", 3, 8)
    assert whole.tokens == 8
    assert driven.of(RequestFinished)[1].reason == finish


def test_rule_6_beyond_the_context_no_least_length_is_asked_for(scripted: Scripted) -> None:
    scripted.plays(models={"data": [{"id": "m", "max_model_len": 40}]})
    Driven(scripted.url, prompt_toks=30, gen_toks=20).level(1)
    assert "min_tokens" not in asked(scripted)[-1]
    Driven(scripted.url, prompt_toks=20, gen_toks=20).level(1)
    assert asked(scripted)[-1]["min_tokens"] == 20


@pytest.mark.parametrize("then", ["stall", "pings"])
def test_rule_7_a_stall_is_a_time_without_a_token(scripted: Scripted, then: str) -> None:
    driven = Driven(scripted.url, timeout=1.5)
    scripted.plays({}, {"after": 3, "then": then})
    driven.level(2)
    failed, fine = driven.requests
    assert failed.error == "no token for 1.5 s (--timeout)"
    assert failed.tokens == 3
    assert fine.state == "done"


def test_rule_8_what_comes_in_one_read_is_one_emission(scripted: Scripted) -> None:
    scripted.plays(counts="token_ids", interval=0.002, batch=0.05)
    driven = Driven(scripted.url).level(1)
    (request,) = driven.requests
    assert max(request.counts) > 1
    assert request.tokens == 8


@pytest.mark.parametrize("connection", ["lies", "loses"])
def test_rule_9_a_lost_connection_is_sent_again_once_and_told(
    scripted: Scripted, connection: str
) -> None:
    driven = Driven(scripted.url)
    scripted.plays(connection="loses")
    driven.level(4)
    assert {one.state for one in driven.requests} == {"done"}
    again = [one for one in driven.session.requests.values() if one.served and one.served.resent]
    assert len(again) == 1, "after one loss connections are not reused"
    first, second = driven.sendings(again[0].id)
    assert (first.again, second.again) == (False, True)
    assert again[0].served is not None
    assert again[0].served.sent == first.time
    assert len(scripted.log()) == 5


def test_rule_9_what_failed_on_a_fresh_connection_is_not_sent_again(scripted: Scripted) -> None:
    driven = Driven(scripted.url)
    scripted.plays({}, {"after": 0, "then": "reset"})
    driven.level(2)
    assert [one.state for one in driven.requests] == ["failed", "done"]
    assert not any(one.served and one.served.resent for one in driven.requests)


def test_rule_10_the_status_line_has_a_time_of_its_own(scripted: Scripted) -> None:
    driven = Driven(scripted.url)
    scripted.plays(headers_after=0.1, ttft=0.1)
    driven.level(1)
    reached = {e.stage: e.time for e in driven.of(RequestReached) if e.request == 1}
    assert reached["status"] - reached["connected"] > 50e6
    assert reached["status"] <= reached["event"]


def test_rule_12_the_first_request_has_the_sampling_of_all(scripted: Scripted) -> None:
    driven = Driven(scripted.url).level(2)
    bodies = asked(scripted)
    varying = ("prompt", "max_tokens", "min_tokens", "cache_salt")
    settings = [{k: v for k, v in one.items() if k not in varying} for one in bodies]
    assert settings[0]["temperature"] == 0
    assert all(one == settings[0] for one in settings)
    told = json.loads(driven.session.servers[0].sent)
    assert {k: v for k, v in told.items() if k not in varying} == settings[0]


def test_rule_13_fields_that_are_refused_are_left_out_and_remembered(scripted: Scripted) -> None:
    scripted.plays(refuses=("ignore_eos", "min_tokens", "cache_salt"))
    driven = Driven(scripted.url).level(2)
    refused, *taken = asked(scripted)
    assert "ignore_eos" in refused
    assert not any({"ignore_eos", "min_tokens", "cache_salt"} & set(one) for one in taken)
    assert taken[0]["generation_config"] == '{"eos_token_id":-1}', "what transformers takes instead"
    assert [one.state for one in driven.requests] == ["done", "done"]


def test_rule_13_a_refusal_that_names_nothing_costs_only_what_it_minds(scripted: Scripted) -> None:
    refusal = {"status": 400, "body": '{"error":{"message":"Value error."}}'}
    scripted.plays(refusal, refusal)
    driven = Driven(scripted.url).level(1)
    last = asked(scripted)[-1]
    assert "ignore_eos" in last
    assert "timings_per_token" in last, "the first was none that it minded"
    assert "cache_prompt" not in last
    assert driven.requests[0].state == "done"


def test_rules_14_and_17_what_a_kind_of_server_does_to_figures_is_told() -> None:
    assert any("50 ms" in note for note in NOTES["ray"])
    assert any("0.5 s" in note for note in NOTES["mlx"])


def test_rule_16_one_prompt_one_choice(scripted: Scripted) -> None:
    Driven(scripted.url).level(2)
    for body in asked(scripted):
        assert "n" not in body
        assert isinstance(body["prompt"], str)
        assert body["max_tokens"] >= 1
        assert "stop" not in body


def test_prompts_differ_from_their_first_word_on(scripted: Scripted) -> None:
    Driven(scripted.url).level(20, concurrency=4)
    first = [body["prompt"].split()[0] for body in asked(scripted)[3:]]
    assert len(set(first)) == len(first)


def test_messages_are_bodies_of_their_own(scripted: Scripted) -> None:
    Driven(scripted.url, endpoint="chat").level(1)
    body = asked(scripted)[-1]
    assert [turn["role"] for turn in body["messages"]] == ["user"]
    assert "prompt" not in body


def test_several_servers_take_turns_and_each_request_knows_its_own(scripted: Scripted) -> None:
    other = scripted.url.replace("127.0.0.1", "localhost")
    driven = Driven(scripted.url, other).level(6, concurrency=2)
    places = [one.served.server for one in driven.requests if one.served]
    assert sorted(places) == [0, 0, 0, 1, 1, 1]
    assert set(driven.session.servers) == {0, 1}


def test_a_key_is_sent_and_never_told(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    monkeypatch.setenv("MY_HEADER", "tenant-secret")
    driven = Driven(scripted.url, api_key_env="MY_KEY", headers=(("X-Tenant", "MY_HEADER"),))
    body = '{"error":"not allowed: Bearer sk-very-secret of tenant-secret"}'
    scripted.plays({}, {"status": 403, "body": body})
    driven.level(2)
    sent = scripted.log()[-1]["headers"]
    assert sent["authorization"] == "Bearer sk-very-secret"
    assert sent["x-tenant"] == "tenant-secret"
    assert "not allowed: Bearer *** of ***" in driven.requests[0].error
    assert b"secret" not in msgspec.json.encode(driven.events)


def test_a_redirect_is_not_followed(scripted: Scripted) -> None:
    driven = Driven(scripted.url)
    scripted.plays({}, {"status": 307, "location": scripted.url + "/v1/completions"})
    driven.level(2)
    assert "redirects" in driven.requests[0].error
    assert len(scripted.log()) == 3


def test_a_process_that_sends_nonsense_costs_its_requests(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[bytes] = []

    def decoded(frame: bytes) -> Any:
        told = decode_told(frame)
        if not broken and any(isinstance(one, TokensEmitted) for one in told):
            broken.append(frame)
            raise ValueError("nonsense")
        return told

    monkeypatch.setattr("llamatop.engines.server.crew.decode_told", decoded)
    driven = Driven(scripted.url, client_processes=2, gen_toks=9).level(8, concurrency=4)
    everyone = driven.session.requests.values()  # it may have been the warm-up's
    assert broken and {one.error for one in everyone if one.error} == {
        "the process that sent it ended"
    }
    assert not driven.session.active and "done" in {one.state for one in driven.requests}


def test_processes_that_send_tell_the_same_as_one(scripted: Scripted) -> None:
    scripted.plays(counts="token_ids", per_event=(1, 2))
    driven = Driven(scripted.url, client_processes=2, gen_toks=9).level(12, concurrency=4)
    assert [one.tokens for one in driven.requests] == [9] * 12
    assert {one.state for one in driven.requests} == {"done"}
    for one in driven.requests:
        assert one.served is not None
        assert one.scheduled <= one.served.sent <= one.times[0]
    lagging = {event.process for event in driven.of(ClientSampled)}
    assert lagging <= {0, 1, 2}
    for tokens in (0, 1):  # before anything came of the level, and in the middle of answers
        known = len(driven.requests)
        driven.start(None, 2)
        driven.until(lambda d: sum(one.tokens for one in d.requests[known:]) >= tokens)  # noqa: B023
        assert driven.run is not None
        driven.run.stop()
        driven.end()


def test_one_process_sends_until_one_is_not_enough() -> None:
    config = RunConfig(engine="server", concurrency=(1, 64))
    assert processes_for(config, 8) == 1
    many = msgspec.structs.replace(config, concurrency=(2048,))
    assert processes_for(many, 16) == 4
    assert processes_for(many, 2) == 1
    assert processes_for(msgspec.structs.replace(many, client_processes=3), 2) == 3


def test_an_open_loop_sends_when_requests_arrive(scripted: Scripted) -> None:
    driven = Driven(scripted.url, rate=100.0).level(20, concurrency=8)
    for one in driven.requests:
        assert one.served is not None
        assert one.scheduled <= one.served.due <= one.served.sent
    arrivals = [one.scheduled for one in driven.requests]
    assert len(set(arrivals)) == 20
    assert any(one.served and one.served.due == one.scheduled for one in driven.requests)


def test_in_an_open_loop_a_request_is_due_when_there_is_room(scripted: Scripted) -> None:
    driven = Driven(scripted.url, rate=500.0).level(6, concurrency=1)
    for before, after in pairwise(driven.requests):
        assert before.ended is not None
        assert after.served is not None
        assert after.served.due == max(after.scheduled, before.ended)


def test_more_at_once_and_a_hold_take_effect_while_a_level_runs(scripted: Scripted) -> None:
    scripted.plays(interval=0.02)
    driven = Driven(scripted.url, gen_toks=1000).start(None, 1)
    driven.until(lambda d: any(one.tokens for one in d.requests))
    assert driven.run is not None
    driven.run.resize(3)
    driven.until(lambda d: sum(one.state == "decode" for one in d.requests) == 3)
    driven.run.pause(True)
    driven.run.cancel(driven.requests[0].id)
    driven.until(lambda d: "left" in [one["ended"] for one in scripted.log()])
    assert len(driven.requests) == 3
    driven.run.pause(False)
    driven.until(lambda d: len(d.requests) == 4 and d.requests[-1].tokens > 0)


def test_at_its_time_a_level_takes_back_what_is_in_flight(scripted: Scripted) -> None:
    driven = Driven(scripted.url, gen_toks=1000, max_time=0.3)
    driven.level(None, concurrency=4)
    assert {one.state for one in driven.requests} == {"cancelled"}
    assert all(one.tokens > 0 for one in driven.requests)
    until(lambda: [one["ended"] for one in scripted.log()][-4:] == ["left"] * 4)
