"""Turns of conversations as files of prompts hold them: OpenAI's messages, ShareGPT's too.

Knows no template: what a model makes of calls and tools is its template's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

_KEPT = ("name", "tool_calls", "tool_call_id", "function_call", "reasoning_content")
"""What a message may carry beside its content that a template or a server reads."""

_CALLS = ("tool_calls", "function_call")

_SPEAKERS = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "observation": "tool",
}
"""ShareGPT's names of roles."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str | None
    """None: there are calls instead."""
    more: dict[str, Any] = field(default_factory=dict)
    """Calls, the call that it answers, a name: as they stand in the file."""

    @property
    def sent(self) -> dict[str, Any]:
        """As a server takes it."""
        return {"role": self.role, "content": self.content, **self.more}

    @property
    def text(self) -> str:
        """What it says where there is no template; calls as their JSON."""
        calls = [self.more[name] for name in _CALLS if name in self.more]
        written = [msgspec.json.encode(call).decode() for call in calls]
        return "\n".join([*([self.content] if self.content else []), *written])

    @property
    def called(self) -> list[str]:
        """The names of what it calls."""
        calls = self.more.get("tool_calls")
        called = calls if isinstance(calls, list) else []
        functions = [call.get("function") for call in called if isinstance(call, dict)]
        functions.append(self.more.get("function_call"))
        names = (one.get("name") for one in functions if isinstance(one, dict))
        return [name for name in names if isinstance(name, str)]

    @property
    def of_tools(self) -> bool:
        """Whether it calls something, or answers a call."""
        return self.role in ("tool", "function") or any(name in self.more for name in _CALLS)


def read_messages(value: Any, name: str) -> tuple[Message, ...]:
    """The turns of a list; ValueError where it is none. `name` is what it is called."""
    if not isinstance(value, list) or not value:
        raise ValueError(f'"{name}" must be a list of objects with "role" and "content"')
    return tuple(_message(one, name) for one in value)


def are_messages(value: Any) -> bool:
    """Whether a list looks like the turns of a conversation."""
    return all(isinstance(one, dict) and ("role" in one or "from" in one) for one in value)


def _message(value: Any, name: str) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f'each of "{name}" must be an object with "role" and "content"')
    role, content = value.get("role"), value.get("content")
    if role is None and "from" in value:
        role, content = value["from"], value.get("value")
        role = _SPEAKERS.get(role, role) if isinstance(role, str) else role
    if not isinstance(role, str):
        raise ValueError(f'each of "{name}" must be an object with "role" and "content"')
    more = {key: value[key] for key in _KEPT if value.get(key) is not None}
    return Message(role, _content(content, more), more)


def _content(content: Any, more: dict[str, Any]) -> str | None:
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    if content is None and any(more.get(name) for name in _CALLS):
        return None
    if not isinstance(content, str):
        raise ValueError('"content" of a message must be a string')
    return content


def _part(value: Any) -> str:
    if isinstance(value, dict) and value.get("type") == "text":
        text = value.get("text")
        if not isinstance(text, str):
            raise ValueError('"text" must be a string')
        return text
    raise ValueError('of "content", only parts of type "text" can be asked')
