"""Getting to know a server: what it is, by what it answers, and what cannot be, in one line."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llamatop.engines.server import engine as engines
from llamatop.engines.server import known
from llamatop.engines.server.bodies import Fields, Manner
from llamatop.engines.server.client import AT_ONCE, Client
from llamatop.engines.server.gauges import is_idle
from llamatop.engines.server.known import Reply
from llamatop.engines.server.meeting import Met
from llamatop.engines.server.orders import Ended, Order
from llamatop.engines.server.places import Place, Places
from llamatop.engines.server.secrets import Secrets
from llamatop.errors import InputError
from llamatop.events.kinds import (
    Event,
    LevelEnded,
    RequestSent,
    ServerFound,
    ServerKnown,
    ServerLost,
    TokensEmitted,
)
from tests.servers import running, samples
from tests.servers.driving import Driven
from tests.servers.scripted_client import Scripted

PYTHONS_OWN = {"server": "BaseHTTP/0.6 Python/3.11.7"}


@pytest.mark.parametrize(
    ("sample", "name", "model", "context"),
    [
        ("vllm-0.32.0.v1-models", "vllm", "tiny", 2048),
        ("llamacpp-b11434.v1-models", "llama.cpp", "MODEL", 2048),
        ("max-26.7.0.GET_v1_models", "max", "MODEL", 2048),
        ("mlx_lm-0.32.2.models", "mlx", "MODEL", None),
        ("rayserve-2.60.0+vllm-0.32.0.models", "ray", "tiny", 2048),
        ("litellm-1.106.12.GET_v1_models", "litellm", "vl", 2048),
        ("transformers-5.23.0.models", "unknown", "acme/demo", None),  # its answers tell
    ],
)
def test_a_server_is_known_by_its_models(
    sample: str, name: str, model: str, context: int | None
) -> None:
    reply = samples.reply(sample)
    assert known.name_by_models(reply) == name
    assert known.models_of(reply)[0]["id"] == model
    assert known.context_of(known.models_of(reply), model) == context


def test_what_no_list_tells_an_answer_does() -> None:
    assert known.name_by_answer({}, {"model": "acme/demo@main"}) == "transformers"
    assert known.name_by_answer({"x-litellm-version": "1.1"}, {}) == "litellm"
    assert known.name_by_answer({}, {"system_fingerprint": "fp_ollama"}) == "ollama"
    assert known.name_by_answer({}, {"model": "gpt"}) == "unknown"
    event = {"system_fingerprint": "0.32.2-0.32.4-Linux"}
    assert known.name_by_answer(PYTHONS_OWN, event) == "mlx"
    assert known.version_by_answer("mlx", {}, event) == "0.32.2"


def test_a_stub_that_is_written_on_pythons_own_server_is_not_mlx() -> None:
    body = b'{"object": "list", "data": [{"id": "MODEL", "object": "model", "owned_by": "me"}]}'
    assert known.name_by_models(known.Reply(200, PYTHONS_OWN, body)) == "unknown"
    assert known.name_by_answer(PYTHONS_OWN, {"model": "MODEL"}) == "unknown"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"data": 3}', b'{"data": [1, {"id": 2}]}'])
def test_a_list_of_models_may_be_anything(body: bytes) -> None:
    assert known.models_of(Reply(200, {}, body)) == []
    assert known.name_by_models(Reply(200, {}, body)) == "unknown"


def test_no_server_is_bad_input() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no server answers .*refused"):
            Driven(url)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([], "lists no model .HTTP 200.*--model"),
        (["a", "b"], "lists 2 models; choose by --model: a, b"),
    ],
)
def test_a_model_must_be_named_where_there_is_not_one(
    scripted: Scripted, ids: list[str], words: str
) -> None:
    scripted.plays(models={"data": [{"id": id} for id in ids]})
    with pytest.raises(InputError, match=words):
        Driven(scripted.url)
    driven = Driven(scripted.url, model="b").level(1)
    assert scripted.log()[-1]["body"]["model"] == "b"
    assert driven.requests[0].state == "done"


@pytest.mark.parametrize(
    ("status", "words"), [(404, "cannot serve: HTTP 404: no such model"), (500, "HTTP 500")]
)
def test_a_server_that_refuses_everything_is_bad_input(
    scripted: Scripted, status: int, words: str
) -> None:
    scripted.plays(status=status, body='{"error":"no such model"}')
    with pytest.raises(InputError, match=words):
        Driven(scripted.url)


def test_a_key_that_a_refusal_repeats_is_not_told(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    scripted.plays(status=403, body='{"error":"Incorrect API key: sk-secret-key"}')
    with pytest.raises(InputError, match=r"Incorrect API key: \*\*\*"):
        Driven(scripted.url)


def test_a_prompt_file_is_sent_as_it_is(scripted: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    turns = '[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}]'
    file.write_text(f'{{"messages": {turns}, "output_tokens": 5}}\n')
    driven = Driven(scripted.url, endpoint="chat", prompts=str(file)).level(1)
    body = scripted.log()[-1]["body"]
    assert [turn["content"] for turn in body["messages"]] == ["Be brief.", "Why?"]
    assert driven.requests[0].tokens == body["max_tokens"] == 5
    Driven(scripted.url, prompts=str(file)).level(1)
    assert scripted.log()[-1]["body"]["prompt"] == "Be brief.\nWhy?"


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_shared_beginnings_are_sent_and_caches_stay_on(scripted: Scripted, endpoint: str) -> None:
    Driven(scripted.url, endpoint=endpoint, prefix_toks=40, prefixes=1).level(3)
    bodies = [one["body"] for one in scripted.log()[-3:]]
    for body in bodies:
        assert "cache_salt" not in body and "cache_prompt" not in body
    prompts = [body.get("prompt") or body["messages"][0]["content"] for body in bodies]
    assert len({str(prompt) for prompt in prompts}) == 3
    first = prompts[0]
    assert all(prompt[:40] == first[:40] for prompt in prompts)
    Driven(scripted.url, endpoint=endpoint).level(1)
    assert "cache_salt" in scripted.log()[-1]["body"], "without it they stay off"


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize("text", [True, False])
def test_a_turn_sends_the_history_with_the_answers_that_came(
    scripted: Scripted, endpoint: str, text: bool
) -> None:
    driven = Driven(scripted.url, endpoint=endpoint, turns=3, gen_toks=4, text=text).level(6)
    assert [(one.conversation, one.turn) for one in driven.requests] == [
        (1, 1), (1, 2), (1, 3), (4, 1), (4, 2), (4, 3)
    ]  # fmt: skip
    told = ["".join(e.text or "" for e in driven.of(TokensEmitted) if e.request == one.id)
            for one in driven.requests]  # fmt: skip
    assert all(told) == text, "what nobody asked to keep is not told"
    first, second, third = [one["body"] for one in scripted.log()[-3:]]
    if endpoint == "completions":
        assert second["prompt"].startswith(first["prompt"])
        assert third["prompt"].startswith(second["prompt"])
        assert not text or f"\n{told[3]}\n" in second["prompt"]
    else:
        roles = [message["role"] for message in third["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        assert third["messages"][:3] == second["messages"]
        assert second["messages"][1]["content"]
        assert not text or second["messages"][1]["content"] == told[3]


def test_a_conversation_stays_on_its_server(scripted: Scripted, tmp_path: Path) -> None:
    other = running.scripted(tmp_path / "log")
    try:
        driven = Driven(scripted.url, other.url, turns=3, gen_toks=2).level(9, concurrency=3)
        places = {(one.conversation, one.served.server) for one in driven.requests if one.served}
        assert len(places) == len({one.conversation for one in driven.requests}) == 3
        assert {server for _, server in places} == {0, 1}
    finally:
        other.kill()


def test_calls_and_tools_of_a_file_go_to_the_server(scripted: Scripted, tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "Because."},
    ]
    tools = [{"type": "function", "function": {"name": "f"}}]
    file = tmp_path / "prompts.jsonl"
    file.write_text(json.dumps({"messages": turns, "tools": tools, "output_tokens": 2.0}))
    Driven(scripted.url, endpoint="chat", prompts=str(file)).level(1)
    body = scripted.log()[-1]["body"]
    assert (body["messages"], body["tools"], body["max_tokens"]) == (turns, tools, 2)


def test_a_server_that_stays_away_fails_its_level_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LOST_SECONDS", 0.2)
    server = running.scripted(tmp_path / "log")
    try:
        driven = Driven(server.url).start(None, 2)
        driven.until(lambda d: any(one.tokens for one in d.requests))
        server.kill()
        driven.end()
        (ended,) = driven.of(LevelEnded)
        assert ended.outcome == "failed"
        assert ended.error.startswith("server lost: ")
        assert driven.of(ServerLost)
        server.start()
        driven.level(2)
        assert driven.of(ServerFound)
        assert driven.of(LevelEnded)[-1].outcome == "ok"
        assert [one.state for one in driven.requests[-2:]] == ["done", "done"]
    finally:
        server.stop()


def test_a_key_over_plain_http_beyond_this_machine_is_warned_of(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    assert not any("plain http" in one for one in Driven(scripted.url).known.notes)
    monkeypatch.setattr(engines, "is_here", lambda _: False)
    assert any("plain http" in one for one in Driven(scripted.url).known.notes)


class Answers:
    """Stands for a server behind the one question that is asked: the last answer stays."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked = 0

    async def get(self, path: str) -> Reply:
        self.asked += 1
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def placed(name: str, answers: Answers) -> tuple[Places, Place, list[Event]]:
    told: list[Event] = []
    manner = Manner(Fields("m"), "usage")
    met = Met("http://127.0.0.1:1", name, None, "m", None, manner)
    place = Place(0, met, answers, None)  # type: ignore[arg-type]
    return Places([place], lambda: 7, told.append), place, told


async def test_rule_18_a_port_that_answers_may_hold_a_dead_server() -> None:
    dead = samples.reply("transformers-5.23.0.err-worker-dead-503")
    fine = Reply(200, {}, b'{"status":"ok"}')
    places, place, told = placed("transformers", Answers(dead, dead, fine))
    places.suspect(0, "CB worker is dead")
    assert places.next() is None, "nothing is sent there meanwhile"
    await next(iter(places._looking))
    assert [type(event) for event in told] == [ServerLost, ServerKnown, ServerFound]
    assert place.up and not place.notes


async def test_a_server_that_is_back_is_asked_again_what_it_is() -> None:
    gone = Reply(0, {}, b"refused")
    fine = Reply(200, {}, b"{}")
    models = Reply(200, {"server": "llama.cpp"}, b'{"data":[{"id":"n","meta":{"n_ctx":512}}]}')
    version = Reply(200, {}, b'{"build_info":"b2-abc"}')
    places, place, told = placed("llama.cpp", Answers(gone, fine, models, version))
    place.met.version = "b1-abc"
    places.suspect(0, "refused")
    await next(iter(places._looking))
    known_again = next(event for event in told if isinstance(event, ServerKnown))
    assert (known_again.version, known_again.model) == ("b2-abc", "n")
    assert known_again.notes == (
        "It was lost, and came back with version b2-abc instead of b1-abc, model n instead of m, "
        "context 512 instead of N/A.",
    )
    assert place.met.manner.fields.model == "m", "it goes on being asked for the same"


async def test_a_server_that_is_well_is_not_told_lost() -> None:
    places, place, told = placed("vllm", Answers(Reply(200)))
    places.suspect(0, "an error")
    await next(iter(places._looking))
    assert (told, place.up) == ([], True)


async def test_rule_11_the_next_level_waits_until_the_server_is_idle() -> None:
    busy = Reply(200, {}, b'[{"id":0,"is_processing":true}]')
    idle = Reply(200, {}, b'[{"id":0,"is_processing":false}]')
    answers = Answers(busy, busy, idle)
    places, place, told = placed("llama.cpp", answers)
    place.dropped = True
    await places.idle(lambda: False)
    assert (answers.asked, place.dropped, told) == (3, False, [])


async def test_rule_11_a_server_without_gauges_is_told_of() -> None:
    places, place, told = placed("transformers", Answers(Reply(404)))
    place.dropped = True
    await places.idle(lambda: False)
    (event,) = told
    assert isinstance(event, ServerKnown)
    assert "does not tell whether it was idle" in event.notes[-1]


async def test_gauges_of_all_engines_of_a_server_are_added() -> None:
    page = b"""vllm:num_requests_running{engine="0",model_name="tiny"} 0.0
vllm:num_requests_running{engine="1",model_name="tiny"} 2.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 0.0
"""
    busy: object = Answers(Reply(200, {}, page))
    idle: object = Answers(Reply(200, {}, page.replace(b"2.0", b"0.0")))
    assert await is_idle(busy, "vllm") is False  # type: ignore[arg-type]
    assert await is_idle(idle, "vllm") is True  # type: ignore[arg-type]


def test_a_key_of_the_usual_variable_is_taken_and_a_header_goes_before_it() -> None:
    environment = {"OPENAI_API_KEY": "usual", "OTHER": "other", "BASIC": "Basic abcd"}
    assert Secrets(None, (), environment).headers == {"Authorization": "Bearer usual"}
    assert Secrets("OTHER", (), environment).headers == {"Authorization": "Bearer other"}
    own = Secrets(None, (("Authorization", "BASIC"),), environment)
    assert own.headers == {"Authorization": "Basic abcd"}
    assert own.scrub("Basic abcd, usual") == "***, ***"
    assert Secrets(None, (), {}).headers == {}


def test_the_engine_imports_no_torch() -> None:
    code = (
        "import sys, llamatop.engines.host, llamatop.engines.server.engine; "
        "print([m for m in ('torch', 'transformers', 'polars', 'textual') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


class Ends:
    """A sink of one client, in a test's loop."""

    def __init__(self, scripted: Scripted) -> None:
        self.sent: list[int] = []
        self.ended: dict[int, str] = {}
        secrets = Secrets("OPENAI_API_KEY", (), {})
        self.client = Client([scripted.url], secrets, time.monotonic_ns, self, self.end)

    def emit(self, request: int, time: int, count: int, text: str | None) -> None: ...

    def tell(self, event: Event) -> None:
        if isinstance(event, RequestSent):
            self.sent.append(event.request)

    def end(self, ended: Ended) -> None:
        self.ended[ended.request] = ended.how


async def test_of_many_requests_a_few_begin_in_each_turn_of_the_loop(scripted: Scripted) -> None:
    """So that a request's TTFT holds little of the making of those behind it."""
    scripted.plays()
    ends, requests = Ends(scripted), range(5 * AT_ONCE)
    body = Manner(Fields("m"), "usage").encode("text", 4, "salt")
    for request in requests:
        ends.client.send(Order(request, 0, 0, body, "usage"))
    ends.client.cancel(requests[-1])
    assert not ends.sent and not ends.ended, "nobody is told in the call that sends or cancels"
    steps = []
    while len(ends.sent) < len(requests) - 1:
        before = len(ends.sent)
        await asyncio.sleep(0)
        steps.append(len(ends.sent) - before)
    assert max(steps) <= AT_ONCE
    while len(ends.ended) < len(requests):
        await asyncio.sleep(0.01)
    await ends.client.close()
    assert ends.sent == list(requests[:-1]), "in their order, without the one that was taken back"
    assert [ends.ended[one] for one in requests] == ["finished"] * (len(requests) - 1) + ["dropped"]


async def test_a_request_taken_back_at_any_moment_has_an_end(scripted: Scripted) -> None:
    """Also one whose task was made, and has not begun: cancelled, it never says a word."""
    scripted.plays()
    ends = Ends(scripted)
    body = Manner(Fields("m"), "usage").encode("text", 4, "salt")
    for request in range(4):
        ends.client.send(Order(request, 0, 0, body, "usage"))
        if request == 0:
            continue
        asyncio.get_running_loop().call_soon(ends.client.cancel, request)
    while len(ends.ended) < 4:
        await asyncio.sleep(0.01)
    await ends.client.close()
    assert [ends.ended[one] for one in range(4)] == ["finished"] + ["dropped"] * 3
