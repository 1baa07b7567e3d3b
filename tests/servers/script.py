"""What the scripted server does, and how its answers look: no sockets, no clock.

Every token's text names its request and its place in it, `r17.3 `, so that whoever receives it can
be held to what was sent, token by token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Script:
    """One answer. Times are seconds; `None` in `finish` leaves the finish reason out."""

    ttft: float = 0.02
    """From the whole request to its first token."""
    interval: float = 0.005
    """From event to event."""
    spread: int = 1
    """Requests are that many in turn, first tokens a part of the interval apart: 256 streams do not
    all send at once."""
    tokens: int | None = None
    """Sent, whatever was asked for; None: what was asked for."""
    per_event: tuple[int, ...] = (1,)
    """Tokens of each event, over and over; a 0 is an event with no text."""
    batch: float = 0.0
    """What falls due within so long is sent in one write."""
    counts: Literal["token_ids", "continuous", "timings", "usage", "separate", "zeros", "none"] = (
        "usage"
    )
    """How tokens are counted: `usage` in the finish chunk, `separate` in one with no choices."""
    prompt_tokens: int = 8
    finish: str | None = "length"
    done: bool = True
    """Whether `[DONE]` ends the stream."""
    role_first: bool = True
    """Chat: the chunk with the role comes before the headers' ink is dry, long before a token."""
    reasoning: int = 0
    """Chat: so many tokens are thinking, in `reasoning_content`."""
    headers_after: float = 0.0
    status: int = 200
    body: str = '{"error":{"message":"scripted"}}'
    """Where the status is not 200."""
    location: str = ""
    """Of a redirect."""
    refuses: tuple[str, ...] = ()
    """Fields of the request that are answered with 422 and named."""
    after: int | None = None
    """After so many tokens, `then` happens."""
    then: Literal["stall", "pings", "reset", "eof", "error"] = "stall"
    error: str = '{"error":{"message":"scripted"}}'
    """The event of `error`, at `after` tokens."""
    connection: Literal["kept", "close", "lies", "loses"] = "kept"
    """After an answer. `lies`: closed, though keep-alive was said (llama.cpp). `loses`: kept, and
    reset when the next request has come."""


class Answer:
    """The events of one request, one after another, by its script."""

    def __init__(self, script: Script, number: int, chat: bool, asked: dict[str, Any]) -> None:
        self.script = script
        self.number, self.chat = number, chat
        tokens = asked.get("max_tokens") or asked.get("max_completion_tokens") or 16
        self.total = tokens if script.tokens is None else script.tokens
        self.sent = self.events = 0
        self._model = asked.get("model", "scripted")

    @property
    def broken(self) -> bool:
        """Whether it is time for what `then` says."""
        return self.script.after is not None and self.sent >= self.script.after

    @property
    def over(self) -> bool:
        """Whether every token is sent."""
        return self.sent >= self.total

    def role(self) -> bytes:
        """The chunk that has a role and no token."""
        return self._event([{"index": 0, "delta": {"role": "assistant", "content": ""}}])

    def tokens(self) -> bytes:
        """The next event."""
        pattern = self.script.per_event
        count = min(pattern[self.events % len(pattern)], self.total - self.sent)
        places = range(self.sent, self.sent + count)
        thinking = self.chat and self.sent < self.script.reasoning
        self.sent += count
        self.events += 1
        text = "".join(f"r{self.number}.{place} " for place in places)
        choice = self._choice(text, thinking)
        if self.script.counts == "token_ids":
            choice["token_ids"] = [place % 4096 for place in places]
        return self._event([choice], **self._counted())

    def ending(self) -> bytes:
        """Finish reason, usage and `[DONE]`, as far as there are any."""
        out, counts = b"", self.script.counts
        usage = {"usage": self._usage()}
        if self.script.finish is not None:
            choice = self._choice("", False) | {"finish_reason": self.script.finish}
            out += self._event([choice], **(usage if counts == "usage" else self._counted()))
        if counts in ("separate", "token_ids", "continuous"):
            out += self._event([], **usage)
        return out + (b"data: [DONE]\n\n" if self.script.done else b"")

    def _choice(self, text: str, thinking: bool) -> dict[str, Any]:
        if not self.chat:
            return {"index": 0, "text": text, "finish_reason": None}
        field = "reasoning_content" if thinking else "content"
        return {"index": 0, "delta": {field: text} if text else {}, "finish_reason": None}

    def _counted(self) -> dict[str, Any]:
        match self.script.counts:
            case "continuous":
                return {"usage": self._usage()}
            case "zeros":
                nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
                return {"usage": nothing}
            case "timings":
                return {
                    "timings": {"prompt_n": self.script.prompt_tokens, "predicted_n": self.sent}
                }
            case _:
                return {}

    def _usage(self) -> dict[str, int]:
        prompt = self.script.prompt_tokens
        total = prompt + self.sent
        return {"prompt_tokens": prompt, "completion_tokens": self.sent, "total_tokens": total}

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        what = "chat.completion.chunk" if self.chat else "text_completion"
        event = {"id": f"r{self.number}", "object": what, "model": self._model, "choices": choices}
        return b"data: " + json.dumps(event | more, separators=(",", ":")).encode() + b"\n\n"
