"""The body of a request: what must stand in it, what is wished for, and what a server refused.

A wish that a server names when it refuses a body is left out from then on. Sends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from llamatop.events.kinds import TokensBy


@dataclass(frozen=True, slots=True)
class Chat:
    """Messages, and what the model may call."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Any] = ()


Prompt = str | list[int] | list[dict[str, str]] | Chat
"""A text, token ids, or messages."""

WISHES = (
    "timings_per_token",
    "cache_prompt",
    "return_token_ids",
    "cache_salt",
    "continuous_usage_stats",
    "min_tokens",
    "ignore_eos",
    "generation_config",
    "include_usage",
    "temperature",
)
"""Fields that a server may refuse, those first that fewest servers know."""

_STREAM_OPTIONS = ("include_usage", "continuous_usage_stats")

_USELESS: dict[str, frozenset[str]] = {
    "vllm": frozenset(("timings_per_token", "cache_prompt", "min_tokens")),
    "ray": frozenset(("timings_per_token", "cache_prompt", "min_tokens")),
    "llama.cpp": frozenset(
        ("return_token_ids", "cache_salt", "continuous_usage_stats", "min_tokens")
    ),
}
"""What these servers are known to pass over, or not to need.

vLLM, which Ray Serve runs, cuts the limit to what its context leaves and then refuses a least
length above it; `ignore_eos` alone gives the exact one.
"""

_UNSHARED = frozenset(("cache_prompt", "cache_salt"))
"""Wishes that keep a server from answering from what it remembers."""

EXACT = ("ignore_eos", "generation_config")
"""Wishes of which one makes a server generate past the end of its text."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What is sent to one server."""

    model: str | None
    left_out: frozenset[str] = frozenset(("generation_config",))
    newer_limit: bool = False
    """Whether the limit is called `max_completion_tokens`."""

    @classmethod
    def wished(cls, name: str, model: str | None, shared: bool = False) -> Fields:
        """All but what a server of that name does not need.

        `shared`: what a server remembers of prompts is to be measured, and not switched off.
        """
        left = _USELESS.get(name, frozenset()) | (_UNSHARED if shared else frozenset())
        return cls(model, frozenset(("generation_config",)) | left)

    def body(self, prompt: Prompt, max_tokens: int, salt: str) -> dict[str, Any]:
        """A whole body; `salt` differs from request to request."""
        rest = self.without_prompt(max_tokens, salt)
        if isinstance(prompt, Chat):
            tools = {"tools": prompt.tools} if prompt.tools else {}
            return {"messages": prompt.messages, **tools, **rest}
        chat = isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], dict)
        return {"messages" if chat else "prompt": prompt, **rest}

    def without_prompt(self, max_tokens: int, salt: str) -> dict[str, Any]:
        """A body but for its prompt."""
        values: dict[str, Any] = {
            "temperature": 0,
            "ignore_eos": True,
            "min_tokens": max_tokens,
            "generation_config": '{"eos_token_id":-1}',
            "return_token_ids": True,
            "cache_salt": salt,
            "cache_prompt": False,
            "timings_per_token": True,
            "include_usage": True,
            "continuous_usage_stats": True,
        }
        wished = {name: value for name, value in values.items() if name not in self.left_out}
        options = {name: wished.pop(name) for name in _STREAM_OPTIONS if name in wished}
        limit = "max_completion_tokens" if self.newer_limit else "max_tokens"
        body: dict[str, Any] = {"model": self.model} if self.model is not None else {}
        body |= {"stream": True, limit: max_tokens, **wished}
        return body | ({"stream_options": options} if options else {})

    def told(self) -> str:
        """The body without its prompt as JSON, for a recording."""
        body = self.without_prompt(0, "one a request")
        for name in ("max_tokens", "max_completion_tokens", "min_tokens"):
            if name in body:
                body[name] = "as asked"
        return msgspec.json.encode(body).decode()

    def without(self, *names: str) -> Fields:
        """The same, less these; what T takes instead of `ignore_eos` comes in when that goes."""
        out = self.left_out.union(names)
        if "ignore_eos" in names and "ignore_eos" not in self.left_out:
            out -= {"generation_config"}
        return replace(self, left_out=out)

    def again(self, name: str) -> Fields:
        """The same with one that was left out."""
        return replace(self, left_out=self.left_out - {name})

    @property
    def sent(self) -> list[str]:
        """Wishes that are sent, in the order in which they would be given up."""
        return [name for name in WISHES if name not in self.left_out]

    def less_named(self, words: str) -> Fields | None:
        """The same without the wishes that a refusal names; None where it names none."""
        if not self.newer_limit and "max_completion_tokens" in words:
            return replace(self, newer_limit=True)
        named = [name for name in self.sent if _names(words, name)]
        if not named and _names(words, "stream_options"):
            named = [name for name in _STREAM_OPTIONS if name in self.sent]
        return self.without(*named) if named else None


def _names(words: str, field: str) -> bool:
    return re.search(rf"(?<![A-Za-z_]){field}(?![A-Za-z_])", words) is not None


@dataclass(frozen=True, slots=True)
class Manner:
    """How one server is spoken to, once it is known."""

    fields: Fields
    by: TokensBy
    """How its tokens are counted."""

    def encode(self, prompt: Prompt, max_tokens: int, salt: str, fits: bool = True) -> bytes:
        """A request's body.

        Where it does not fit the context no least length is asked for: a server may cut the limit
        to what the context leaves, and then refuse a request whose least length is above it.
        """
        fields = self.fields if fits else self.fields.without("min_tokens")
        return msgspec.json.encode(fields.body(prompt, max_tokens, salt))
