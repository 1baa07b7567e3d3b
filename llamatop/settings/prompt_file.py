"""A file of prompts: one JSON value a line, read and checked. Knows no tokenizer.

A line is a string, or an object with `prompt`, `text` or OpenAI's `messages`, and perhaps
`output_tokens` (or `max_tokens`, `max_completion_tokens`): how many to generate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from llamatop.errors import InputError

_OUTPUTS = ("output_tokens", "max_tokens", "max_completion_tokens")
_MOST = 2**31


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class FilePrompt:
    """One line of the file."""

    line: int
    text: str
    """The prompt; of a conversation, its contents one after another."""
    messages: tuple[Message, ...] = ()
    """The conversation, where it is one: a chat template knows better how to write it."""
    output_tokens: int | None = None


def read_prompts(path: str) -> list[FilePrompt]:
    """Every prompt of a file, in order; InputError naming file and line where one is bad."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"--prompts {path}: cannot be read: {reason}") from None
    prompts = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                prompts.append(_prompt(number, msgspec.json.decode(line)))
            except (ValueError, RecursionError) as error:
                raise InputError(f"--prompts {path}, line {number}: {error}") from None
    if not prompts:
        raise InputError(f"--prompts {path}: no prompts in it; give one JSON object a line")
    return prompts


def _prompt(line: int, value: Any) -> FilePrompt:
    """One line's prompt; ValueError where it has none."""
    if isinstance(value, str):
        return FilePrompt(line, _text(value))
    if not isinstance(value, dict):
        raise ValueError('give a string or an object with "prompt", "text" or "messages"')
    output = _output(value)
    for name in ("prompt", "text"):
        if name in value:
            return FilePrompt(line, _text(value[name], name), output_tokens=output)
    if "messages" not in value:
        raise ValueError('it has no "prompt", "text" or "messages"')
    messages = _messages(value["messages"])
    text = _text("\n".join(message.content for message in messages), "messages")
    return FilePrompt(line, text, messages, output)


def _text(value: Any, name: str = "prompt") -> str:
    if not isinstance(value, str):
        raise ValueError(f'"{name}" must be a string')
    if not value:
        raise ValueError("the prompt is empty")
    return value


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('"messages" must be a list of objects with "role" and "content"')
    return tuple(_message(one) for one in value)


def _message(value: Any) -> Message:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        raise ValueError('each of "messages" must be an object with "role" and "content"')
    content = value.get("content")
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    if not isinstance(content, str):
        raise ValueError('"content" of a message must be a string')
    return Message(value["role"], content)


def _part(value: Any) -> str:
    if isinstance(value, dict) and value.get("type") == "text":
        return _text(value.get("text"), "text")
    raise ValueError('of "content", only parts of type "text" can be asked')


def _output(value: dict[str, Any]) -> int | None:
    name = next((name for name in _OUTPUTS if value.get(name) is not None), None)
    if name is None:
        return None
    tokens = value[name]
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= _MOST:
        raise ValueError(f'"{name}" must be a whole number of at least 1')
    return tokens
