"""What the events of a streamed answer mean: text, tokens, the end. Knows no bytes' times.

Tokens are counted by the surest of what a server tells: ids in the event, usage in every event,
llama.cpp's timings in every event, usage at the end. A server that tells its total only at the
end is counted provisionally, one token an event with text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llamatop.engines.server.complaints import complaint
from llamatop.events.kinds import MOST_TOKENS, TokensBy

GOOD_ENDS = frozenset(("length", "stop", "tool_calls"))
"""Reasons to finish that are a success; anything else, and none, is a failure."""


class EventError(Exception):
    """Data of an event that is no answer: garbage, or an error; told in one line."""


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Timings(msgspec.Struct, gc=False):
    predicted_n: int | None = None
    prompt_n: int | None = None
    cache_n: int | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    index: int = 0


class _Event(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: Any = None
    detail: Any = None
    object: str | None = None


_decode = msgspec.json.Decoder(_Event | None).decode


class Answer:
    """One answer as it comes. `take` an event's data, then `flush` what is `fresh`."""

    __slots__ = (
        "_counted",
        "_ids",
        "_known",
        "_live",
        "_thought",
        "_thought_told",
        "_usage",
        "answered",
        "begun",
        "cached",
        "done",
        "events",
        "fresh",
        "keep_text",
        "prompt",
        "reason",
        "reasoning",
        "text",
    )

    def __init__(self, known: TokensBy = "usage", keep_text: bool = True) -> None:
        """`known`: how this server's tokens were counted before."""
        self.keep_text = keep_text
        self.fresh = 0
        """New tokens since the last `flush`."""
        self.text: str | None = "" if keep_text else None
        """New text since then."""
        self.events = 0
        self.reason = ""
        """Why it finished, as the server says; empty: it has not said."""
        self.done = False
        """Whether `[DONE]` came, which proves nothing."""
        self.begun = False
        """Whether a token has come."""
        self.reasoning = False
        """Whether a token of reasoning has come."""
        self.answered = False
        """Whether the answer itself has begun, after reasoning or without any."""
        self.prompt: int | None = None
        """Tokens of the prompt, as the server counts."""
        self.cached: int | None = None
        """Of these, those that the server had computed before."""
        self._known = known
        self._live: TokensBy | None = None
        """What tells the tokens as they come, where something does."""
        self._counted = 0
        self._ids = 0
        self._usage = 0
        self._thought = 0
        self._thought_told: int | None = None

    def take(self, data: bytes) -> None:
        """Read one event. Raises EventError."""
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EventError(f"an event that cannot be read: {complaint(data)}") from None
        self.events += 1
        if event is None:
            return
        choices = event.choices
        if event.error is not None or (not choices and _complains(event)):
            raise EventError(f"the stream ended in an error: {complaint(data)}")
        choice = choices[0] if choices else None
        if event.usage is not None or event.timings is not None:
            self._tally(event, choice is not None and not (choice.finish_reason or self.reason))
        if choice is not None and choice.index == 0:
            self._take(choice)

    def flush(self) -> tuple[int, str | None]:
        """New tokens and their text since the last call."""
        new = self.fresh, self.text
        self.fresh = 0
        self.text = "" if self.keep_text else None
        return new

    def _take(self, choice: _Choice) -> None:
        text, thought, called = choice.text or "", "", False
        if (delta := choice.delta) is not None:
            text = delta.content or ""
            thought = delta.reasoning or delta.reasoning_content or ""
            called = delta.tool_calls is not None and _calls(delta.tool_calls)
        if choice.finish_reason:
            self.reason = choice.finish_reason
        wordy = called or bool(text or thought)
        new = self._count(choice.token_ids, wordy)
        if not new and not wordy:
            return
        self.begun = True
        self.fresh += new
        self._counted += new
        self._think(new, thought, bool(text) or called)
        if self.keep_text and wordy:
            self.text = (self.text or "") + thought + text

    def _think(self, new: int, thought: str, answers: bool) -> None:
        """Tell reasoning from the answer; what has no text belongs to what came before it."""
        if thought or (self.reasoning and not answers and not self.answered):
            self.reasoning = True
            self._thought += new
        if answers:
            self.answered = True

    def _count(self, ids: list[int] | None, wordy: bool) -> int:
        """New tokens of an event."""
        if ids is not None:
            self._live = "token_ids"
            self._ids += len(ids)
            return len(ids)
        if self._live is None or (self._live == "token_ids" and not self._ids):
            return 1 if wordy else 0
        if self._live == "token_ids":
            return 0
        return max(self._usage - self._counted, 0)

    def _tally(self, event: _Event, running: bool) -> None:
        """Totals in an event, which is `running` where more tokens follow; zeros do not count."""
        usage, timings = event.usage, event.timings
        if usage is not None and (usage.completion_tokens or usage.prompt_tokens):
            self._take_usage(usage)
            if running and usage.completion_tokens and self._live in (None, "timings"):
                self._live = "continuous"
        elif timings is not None and (predicted := _told(timings.predicted_n)):
            self._usage = max(self._usage, predicted)
            cached = _told(timings.cache_n)
            if self.prompt is None and (prompt := _told(timings.prompt_n)) is not None:
                self.prompt, self.cached = prompt + (cached or 0), cached
            if running and self._live is None:
                self._live = "timings"

    def _take_usage(self, usage: _Usage) -> None:
        self._usage = _told(usage.completion_tokens) or self._usage
        self.prompt = _told(usage.prompt_tokens) or self.prompt
        if usage.prompt_tokens_details is not None:
            self.cached = _told(usage.prompt_tokens_details.cached_tokens)
        if usage.completion_tokens_details is not None:
            self._thought_told = _told(usage.completion_tokens_details.reasoning_tokens)

    # When the stream has ended

    @property
    def by(self) -> TokensBy:
        """How its tokens were counted."""
        if self._ids:
            return "token_ids"
        if not self._usage:
            return "estimate" if self.total is None else "usage"
        live = self._live or self._known  # one token has no event to tell it by
        return live if live in ("continuous", "timings") else "usage"

    @property
    def total(self) -> int | None:
        """Output tokens as the server says; None: it does not."""
        nothing = 0 if self.prompt and not self.begun else None
        return self._ids or self._usage or nothing

    @property
    def thought(self) -> int | None:
        """Tokens of reasoning: told, or counted one by one; None: nobody knows."""
        if self._thought_told or not self.reasoning:
            return self._thought_told
        return self._thought if self.by in ("token_ids", "continuous", "timings") else None


def _told(count: int | None) -> int | None:
    """A count as a server told it; None: it told none, or one that no answer can have."""
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


def _calls(calls: list[_Call]) -> bool:
    """Whether something of a tool's call was generated."""
    return any(call.function and (call.function.arguments or call.function.name) for call in calls)


def _complains(event: _Event) -> bool:
    return event.detail is not None or event.object == "error"
