"""Streams of real servers: cut anywhere they give the same events, and events mean what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from llamatop.engines.server.answers import Answer, EventError
from llamatop.engines.server.sse import MOST_BYTES, EventStream, TooLongError
from llamatop.events.kinds import TokensBy
from tests.servers import samples


@dataclass
class Read:
    """What a stream came to."""

    answer: Answer = field(default_factory=Answer)
    emissions: list[tuple[int, int, str]] = field(default_factory=list)
    """Number of the event, tokens, text."""
    error: str = ""

    @property
    def tokens(self) -> int:
        return sum(count for _, count, _ in self.emissions)

    @property
    def text(self) -> str:
        return "".join(text for *_, text in self.emissions)


def events_of(data: bytes, *cuts: int) -> list[bytes]:
    stream = EventStream()
    parts = [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]
    return [event for part in parts for event in stream.feed(part)] + stream.end()


def read(name: str) -> Read:
    return read_events(events_of(samples.body(name)))


def read_events(events: list[bytes]) -> Read:
    got = Read()
    for number, event in enumerate(events):
        try:
            got.answer.take(event)
        except EventError as error:
            got.error = str(error)
            break
        if got.answer.fresh:
            count, text = got.answer.flush()
            got.emissions.append((number, count, text or ""))
    return got


@pytest.mark.parametrize("name", samples.names())
def test_cut_in_two_at_every_byte_gives_the_same_events(name: str) -> None:
    data = samples.body(name)
    whole = events_of(data)
    assert whole
    places = range(len(data)) if len(data) < 4000 else range(0, len(data), 3)
    for place in places:
        assert events_of(data, place) == whole, f"cut at byte {place}"


def test_byte_by_byte_gives_the_same_events() -> None:
    data = samples.body("vllm-0.32.0.chat-multibyte")
    assert events_of(data, *range(1, len(data))) == events_of(data)


@given(some.sampled_from(samples.names()), some.data())
def test_cut_anywhere_and_often_gives_the_same_events(name: str, data: some.DataObject) -> None:
    body = samples.body(name)[:6000]
    places = some.lists(some.integers(0, len(body)), max_size=40)
    assert events_of(body, *sorted(data.draw(places))) == events_of(body)


@given(some.binary(max_size=400), some.lists(some.integers(0, 400), max_size=12))
def test_bytes_that_are_no_stream_are_cut_alike_too(body: bytes, places: list[int]) -> None:
    cuts = sorted(place for place in places if place <= len(body))
    assert events_of(body, *cuts) == events_of(body)


@given(some.lists(some.sampled_from([b"data: a", b": ping", b"", b"event: x", b"data:", b"id"])))
def test_line_ends_of_every_kind_are_the_same(lines: list[bytes]) -> None:
    unix = b"\n".join(lines)
    expected = events_of(unix)
    for end in (b"\r\n", b"\r"):
        data = end.join(lines)
        assert events_of(data) == expected
        assert events_of(data, *range(1, len(data))) == expected


def test_rule_8_comments_pings_nulls_and_blanks_at_the_end_of_a_line() -> None:
    data = b': keepalive 1/2\ndata: {"a":1} \n\n:\n\ndata: null\n\ndata:{"b":2}\r\n\r\n'
    assert events_of(data) == [b'{"a":1}', b"null", b'{"b":2}']
    assert read("llamacpp-b11434.completions-sse-ping-in-prefill").tokens == 4
    assert read("llamacpp-b11434.completions-two-prompts-null-event").emissions[0][0] > 0
    assert read("mlx_lm-0.32.2.completions-stream").tokens == 4


def test_an_event_without_end_is_an_error_and_not_memory() -> None:
    stream = EventStream()
    with pytest.raises(TooLongError):
        for _ in range(MOST_BYTES // 65536 + 2):
            stream.feed(b"data: " + b"x" * 65536)


def test_many_lines_without_an_end_are_an_error_too() -> None:
    stream = EventStream()
    with pytest.raises(TooLongError):
        for _ in range(MOST_BYTES // 65536 + 2):
            stream.feed(b"data: " + b"x" * 65536 + b"\n")


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("transformers-5.23.0.chat-stream", 1),  # the role chunk is no token
        ("llamacpp-b11434.chat-include_usage", 1),
        ("vllm-0.32.0.chat-plain", 1),
        ("vllm-0.32.0.completions-stop-holdback", 0),  # no text, and yet a token: it has an id
        ("vllm-0.32.0.chat-named-tool", 1),
        ("mlx_lm-0.32.2.chat-stream-usage", 0),  # role and text in one
    ],
)
def test_rule_2_the_first_token_is_no_role_and_may_have_no_text(name: str, first: int) -> None:
    assert read(name).emissions[0][0] == first


def test_rule_2_progress_of_a_prefill_is_no_token() -> None:
    got = read("llamacpp-b11434.chat-return_progress")
    assert got.emissions[0][0] > 1
    assert got.tokens == 4


def test_rule_2_ids_tell_a_token_whose_text_is_held_back() -> None:
    got = read("vllm-0.32.0.completions-stop-holdback")
    assert got.emissions[0][1:] == (1, "")
    assert got.tokens == got.answer.total == 12


@pytest.mark.parametrize(
    ("name", "by", "total"),
    [
        ("vllm-0.32.0.completions-multibyte", "token_ids", 18),
        ("rayserve-2.60.0+vllm-0.32.0.completions-ids", "token_ids", 2),
        ("vllm-0.32.0.chat-reasoning", "token_ids", 24),
        ("vllm-0.32.0.completions-continuous_usage_stats-tokenids", "continuous", 4),
        ("vllm-0.32.0.chat-multibyte", "continuous", 18),
        ("llamacpp-b11434.completions-timings_per_token", "timings", 6),
        ("llamacpp-b11434.completions-multibyte", "usage", 14),
        ("llamacpp-b11434.completions-plain", "usage", 6),
        ("transformers-5.23.0.completions-stream", "usage", 4),
        ("vllm-0.32.0.completions-include_usage", "usage", 4),
        ("vllm-0.32.0.completions-max_tokens1", "usage", 1),
        ("litellm-1.106.12.lcpp-completions-stream", "estimate", None),
        ("max-26.7.0.completions-stream", "estimate", None),
    ],
)
def test_rule_3_tokens_are_counted_by_the_surest(name: str, by: TokensBy, total: int) -> None:
    got = read(name)
    assert got.answer.by == by
    assert got.answer.total == total
    if by in ("token_ids", "continuous", "timings"):
        assert got.tokens == total


def test_rule_3_events_are_no_tokens() -> None:
    got = read("llamacpp-b11434.completions-multibyte")
    assert len(got.emissions) == 4
    assert got.answer.total == 14


def test_rule_3_usage_of_zeros_means_none() -> None:
    nothing = (
        b'{"choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}'
    )
    end = b'{"choices":[{"index":0,"text":"","finish_reason":"length"}]}'
    got = read_events([nothing, nothing, end])
    assert (got.answer.by, got.answer.total, got.tokens) == ("estimate", None, 2)


@pytest.mark.parametrize("count", [-1, 2**31, 10**30])
def test_rule_3_a_count_that_no_answer_has_is_none(count: int) -> None:
    told = b'{"completion_tokens":%d,"prompt_tokens":%d}' % (count, count)
    one = b'{"choices":[{"index":0,"text":"a"}]}'
    got = read_events([one, one, b'{"choices":[],"usage":%s}' % told])
    assert (got.answer.by, got.answer.total, got.answer.prompt) == ("estimate", None, None)
    timed = b'{"choices":[],"timings":{"predicted_n":%d,"prompt_n":%d}}' % (count, count)
    got = read_events([one, one, timed])
    assert (got.answer.by, got.answer.total, got.answer.prompt) == ("estimate", None, None)


def test_rule_3_a_token_that_ends_the_text_has_no_event() -> None:
    got = read("llamacpp-b11434.completions-eos-first")
    assert got.tokens == 0
    assert got.answer.total == 1
    assert got.answer.reason == "stop"


@pytest.mark.parametrize(
    "name",
    [
        "llamacpp-b11434.completions-plain",  # in the finish chunk
        "transformers-5.23.0.chat-stream",
        "llamacpp-b11434.chat-include_usage",  # in a chunk without choices
        "mlx_lm-0.32.2.chat-stream-usage",
        "litellm-1.106.12.lcpp-chat-stream-usage",  # in a chunk with an empty choice
        "litellm-1.106.12.vllm-cont-usage",
    ],
)
def test_rule_4_usage_is_found_wherever_it_stands(name: str) -> None:
    got = read(name)
    assert got.answer.by == "usage"
    assert got.answer.total == got.tokens
    assert got.answer.prompt


def test_rule_4_only_the_last_usage_counts() -> None:
    one = b'{"choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    two = b'{"choices":[{"index":0,"text":"b"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}'
    zero = b'{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}'
    got = read_events([one, two, zero])
    assert [count for _, count, _ in got.emissions] == [1, 3]
    assert got.answer.total == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("transformers-5.23.0.err-in-stream-worker-died", "No requests can be scheduled"),
        ("llamacpp-b11434.midstream-error-context-exceeded-1", "Context size has been exceeded."),
        ("vllm-0.32.0.dp2-victim-error-after-5s", "EngineCore encountered an issue"),
        ("vllm-0.32.0.midstream-engine-killed-0", "EngineCore encountered an issue"),
        ("litellm-1.106.12.mock-chat-DIEJSON", "litellm"),
    ],
)
def test_rule_5_an_error_in_the_stream_is_a_failure_and_its_words_are_told(
    name: str, words: str
) -> None:
    got = read(name)
    assert words in got.error
    assert "\n" not in got.error


@pytest.mark.parametrize(
    "data",
    [b'{"error":"x y"}', b'{"error":{"message":"x y"}}', b'{"detail":"x y"}', b"x y", b'{"x y":'],
)
def test_rule_5_an_error_has_many_forms(data: bytes) -> None:
    assert "x y" in read_events([data]).error


def test_rule_15_a_stream_that_a_proxy_cut_looks_whole() -> None:
    got = read("litellm-1.106.12.mock-chat-CUT")
    assert got.answer.reason == "stop"
    assert got.answer.done


def test_reasoning_is_told_from_the_answer() -> None:
    got = read("vllm-0.32.0.chat-reasoning")
    assert got.answer.reasoning
    assert got.answer.answered
    assert got.answer.thought == 2
    told = read("llamacpp-b11434.chat-reasoning_content").answer
    assert told.reasoning
    assert told.thought is None  # it tells no tokens of either


def test_reasoning_tokens_that_a_server_tells_are_taken() -> None:
    usage = b'{"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":5}}'
    thought = b'{"choices":[{"index":0,"delta":{"reasoning":"hm"}}]}'
    got = read_events([thought, b'{"choices":[],"usage":' + usage + b"}"])
    assert got.answer.thought == 5


def test_text_that_need_not_be_kept_is_not() -> None:
    answer = Answer(keep_text=False)
    for event in events_of(samples.body("vllm-0.32.0.completions-include_usage")):
        answer.take(event)
    assert answer.flush() == (4, None)


# ruff: noqa: E501
SCRIPTED = {
    # as their sources have it: these servers were not run
    "sglang": (
        b'data: {"choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
        b'data: {"choices":[{"index":0,"text":"bc"}],"usage":{"prompt_tokens":3,"completion_tokens":3}}\n\n'
        b'data: {"choices":[{"index":0,"text":"","finish_reason":"length"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":3}}\n\ndata: [DONE]\n\n',
        ("continuous", 3, [1, 2]),
    ),
    "ollama": (
        b'data: {"choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'
        b'data: {"choices":[{"index":0,"text":"b","finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":5}}\n\ndata: [DONE]\n\n',
        ("usage", 5, [1, 1]),
    ),
    "tgi": (
        b'data:{"choices":[{"index":0,"text":"a","finish_reason":null}],"usage":null}\n\n'
        b'data:{"choices":[{"index":0,"text":"b","finish_reason":"length"}],'
        b'"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\ndata:[DONE]\n\n',
        ("usage", 2, [1, 1]),
    ),
    "trtllm": (
        b'data: {"choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":4,"completion_tokens":1}} \n\n'
        b'data: {"choices":[{"index":0,"text":"b","finish_reason":"length"}],'
        b'"usage":{"prompt_tokens":4,"completion_tokens":2}} \n\ndata: [DONE] \n\n',
        ("continuous", 2, [1, 1]),
    ),
}


@pytest.mark.parametrize("server", SCRIPTED)
def test_scripted_streams_of_servers_that_were_not_run(server: str) -> None:
    data, (by, total, counts) = SCRIPTED[server]
    got = read_events(events_of(data))
    assert (got.answer.by, got.answer.total) == (by, total)
    assert [count for _, count, _ in got.emissions] == counts
    assert got.answer.done
    assert all(events_of(data, place) == events_of(data) for place in range(len(data)))
