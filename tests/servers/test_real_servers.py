"""The client on real servers: exact totals, ends, losses. vLLM by hand: it is marked slow."""

from __future__ import annotations

import pytest

from llamatop.catalog import demo_folder
from llamatop.events.kinds import (
    RequestCancelled,
    RequestSent,
    ServerFound,
    ServerKnown,
    ServerLost,
    TokensCounted,
)
from llamatop.reports.summary import all_figures
from tests.servers.driving import Driven
from tests.servers.running import Server

pytestmark = pytest.mark.timeout(300)
"""A busy machine starts servers slowly."""


def test_llama_cpp_is_known_and_counts_exactly(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, prompt_toks=40, gen_toks=24).level(8, concurrency=2)
    known = driven.session.servers[0]
    assert (known.name, known.model, known.tokens_by) == ("llama.cpp", "demo", "timings")
    assert known.context == 2048
    assert {one.state for one in driven.requests} == {"done"}
    assert {one.tokens for one in driven.requests} == {24}
    counted = [event for event in driven.of(TokensCounted) if event.request >= 2]
    assert {(event.prompt, event.cached, event.count) for event in counted} == {(40, 0, 24)}
    assert driven.engine.facts.device_name.startswith("llama.cpp at 127.0.0.1:")


def test_llama_cpp_tells_what_it_remembers_of_shared_beginnings(llamacpp: Server) -> None:
    for prefixes, least, most in ((1, 3 * 120, 3 * 128), (10_000, 0, 3 * 8)):
        driven = Driven(llamacpp.url, prefix_toks=128, prefixes=prefixes, prompt_toks=8).level(3)
        (figures,) = all_figures(driven.session)
        assert figures.prompt_tokens == 3 * 136
        assert least <= figures.cached_prompt_tokens <= most


def test_llama_cpp_loses_no_connection_where_each_is_fresh(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, gen_toks=2).level(30)
    assert {one.state for one in driven.requests} == {"done"}
    assert not any(event.again for event in driven.of(RequestSent))


def test_llama_cpp_chat_is_measured_by_its_own_count(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, endpoint="chat", prompt_toks=120, gen_toks=8).level(4)
    assert {one.tokens for one in driven.requests} == {8}
    prompts = [one.served.prompt for one in driven.requests if one.served]
    assert all(prompt and 80 < prompt < 160 for prompt in prompts)


def test_a_queue_beyond_the_slots_shows_in_the_status_line(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, gen_toks=64).level(8, concurrency=8)
    answered = [one.served.reached["status"] for one in driven.requests if one.served]
    first = min(driven.requests, key=lambda request: request.times[-1])
    late = [status for status in answered if status > first.times[len(first.times) // 2]]
    assert len(late) >= 4, "half of them wait for one of four slots"


def test_rule_6_what_a_context_cuts_is_told(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, prompt_toks=2000, gen_toks=100).level(1)
    (request,) = driven.requests
    assert request.state == "done"
    assert request.tokens == 48
    assert any("answers are cut" in note for note in driven.session.servers[0].notes)


def test_rule_11_a_cancelled_request_frees_its_slot(llamacpp: Server) -> None:
    driven = Driven(llamacpp.url, gen_toks=1500).start(None, concurrency=1)
    driven.until(lambda d: d.requests and d.requests[-1].tokens > 3)
    assert driven.run is not None
    driven.run.cancel(driven.requests[-1].id)
    driven.until(lambda d: len(d.requests) > 1 and d.requests[-1].tokens > 0)
    driven.run.stop()
    driven.end()
    assert len(driven.of(RequestCancelled)) == 2
    driven.level(1)  # once the server is idle, which it tells
    assert driven.requests[-1].state == "done"
    assert not any("cancelled, and" in note for note in driven.session.servers[0].notes)


def test_rule_18_a_server_killed_and_back_costs_only_what_was_in_flight(
    own_llamacpp: Server,
) -> None:
    driven = Driven(own_llamacpp.url, gen_toks=400).start(6, concurrency=2)
    driven.until(lambda d: len(d.requests) >= 2 and all(r.tokens > 3 for r in d.requests[:2]))
    own_llamacpp.kill()
    driven.until(lambda d: d.of(ServerLost))
    before = len(driven.of(RequestSent))
    own_llamacpp.start()
    driven.until(lambda d: d.of(ServerFound)).end()
    states = [one.state for one in driven.requests]
    assert states.count("failed") == 2
    assert states.count("done") == 4
    assert len(driven.of(RequestSent)) > before
    assert all(one.tokens > 3 for one in driven.requests), "what was measured is kept"
    assert "closed" in driven.of(ServerLost)[0].said
    first, *_, last = driven.of(ServerKnown)
    assert last.time > first.time, "it was asked again"
    assert (last.version, last.model, last.notes) == (first.version, first.model, first.notes)


def test_transformers_takes_what_it_does_not_refuse(transformers_serve: Server) -> None:
    model = str(demo_folder())
    driven = Driven(transformers_serve.url, model=model, prompt_toks=60, gen_toks=12)
    driven.level(4, concurrency=2)
    known = driven.session.servers[0]
    assert (known.name, known.tokens_by) == ("transformers", "usage")
    assert "ignore_eos" not in known.sent
    assert "generation_config" in known.sent
    assert {one.state for one in driven.requests} == {"done"}, driven.errors
    assert {one.tokens for one in driven.requests} == {12}
    assert all(one.served and one.served.counted for one in driven.requests)


def test_transformers_gets_prompts_of_exact_length_by_a_tokenizer(
    transformers_serve: Server,
) -> None:
    folder = str(demo_folder())
    for endpoint in ("completions", "chat"):
        driven = Driven(
            transformers_serve.url,
            model=folder,
            tokenizer=folder,
            endpoint=endpoint,
            prompt_toks=60,
            gen_toks=4,
        ).level(6, concurrency=2)
        assert [one.served.prompt for one in driven.requests if one.served] == [60] * 6


@pytest.mark.slow
def test_vllm_tells_every_token_by_its_id(vllm: Server) -> None:
    driven = Driven(vllm.url, prompt_toks=300, gen_toks=24).level(8, concurrency=2)
    known = driven.session.servers[0]
    assert (known.name, known.model, known.tokens_by) == ("vllm", "demo", "token_ids")
    assert (known.version or "").startswith("0.")
    assert known.context == 2048
    assert {one.state for one in driven.requests} == {"done"}, driven.errors
    assert {one.tokens for one in driven.requests} == {24}
    served = [one.served for one in driven.requests if one.served]
    assert {one.prompt for one in served} == {300}
    assert not any(one.cached for one in served), "no prompt begins like another"
    assert not any(one.resent for one in served)


@pytest.mark.slow
def test_vllm_cuts_to_its_context_and_that_is_told(vllm: Server) -> None:
    driven = Driven(vllm.url, prompt_toks=2000, gen_toks=100).level(1)
    (request,) = driven.requests
    assert (request.state, request.tokens) == ("done", 48)


@pytest.mark.slow
def test_rule_11_vllm_is_idle_before_the_next_level(vllm: Server) -> None:
    driven = Driven(vllm.url, gen_toks=1500, max_time=1.0).level(None, concurrency=4)
    assert {one.state for one in driven.requests} == {"cancelled"}
    driven.level(None, concurrency=1)
    assert not any("cancelled, and" in note for note in driven.session.servers[0].notes)
