"""What one line of a file of prompts asks for. Reads no file and knows no tokenizer.

A line is a string; a list of messages; or an object with `prompt`, `text`, OpenAI's `messages` or
ShareGPT's `conversations`, and perhaps `output_tokens` (or `max_tokens`, `max_completion_tokens`),
`tools` and `timestamp`; or such an object as the `body` of a line of an OpenAI batch; or, as in
Mooncake's traces, `input_length`, `output_length` and `hash_ids`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from llamatop.settings.messages import Message, are_messages, read_messages

BLOCK_TOKENS = 512
"""Tokens of a block that one of `hash_ids` stands for."""

LINE_IS = (
    'give a string, or an object with "prompt", "text", "messages" or "conversations", or a list '
    "of messages"
)

_OUTPUTS = ("output_tokens", "max_tokens", "max_completion_tokens", "output_length")
_MOST = 2**31


@dataclass(frozen=True, slots=True)
class FilePrompt:
    """One line of the file."""

    line: int
    text: str
    """The prompt; of a conversation, its contents one after another; of blocks, empty."""
    messages: tuple[Message, ...] = ()
    """The conversation, where it is one: a chat template knows better how to write it."""
    output_tokens: int | None = None
    tools: tuple[Any, ...] = ()
    """What the model may call, for its template."""
    at: float | None = None
    """When it arrived, by the file's own clock (s)."""
    blocks: tuple[int, ...] = ()
    """Whose text it is made of, `BLOCK_TOKENS` each but for the last; equal ones are equal text."""
    prompt_tokens: int | None = None
    """How long a prompt of blocks is."""
    unit: str = "line"
    """What `line` counts; `item` in a JSON array."""

    @property
    def turns(self) -> list[tuple[Message, ...]]:
        """What each turn of the conversation asks: messages up to the next of a user's.

        The answers in the file are left out of turns after the first: those that really come
        stand for them. Where a tool is called there is one turn, whole: nobody would answer it.
        """
        if sum(one.role == "user" for one in self.messages) < 2:
            return [self.messages]
        if any(one.of_tools for one in self.messages):
            return [self.messages]
        turns: list[tuple[Message, ...]] = []
        asked: list[Message] = []
        for one in self.messages:
            if one.role != "assistant" or not turns:
                asked.append(one)
            if one.role == "user":
                turns.append(tuple(asked))
                asked = []
        return turns

    @property
    def where(self) -> str:
        """Its place in the file, in words."""
        return f"{self.unit} {self.line}"


def prompt_of(line: int, value: Any, unit: str = "line") -> FilePrompt | None:
    """What a line asks for, None where it is an empty conversation; ValueError where it is bad."""
    if isinstance(value, str):
        return FilePrompt(line, _text(value), unit=unit)
    if isinstance(value, list) and value and are_messages(value):
        return _conversation(line, {"messages": value}, "messages", unit)
    if not isinstance(value, dict):
        raise ValueError(LINE_IS)
    if isinstance(value.get("body"), dict):
        value = value["body"] | {name: value[name] for name in ("timestamp",) if name in value}
    for name in ("prompt", "text"):
        if value.get(name) is not None:
            text = _text(value[name], name)
            return FilePrompt(line, text, output_tokens=_output(value), at=_time(value), unit=unit)
    if value.get("conversations") == []:
        return None
    for name in ("messages", "conversations"):
        if value.get(name) is not None:
            return _conversation(line, value, name, unit)
    if "input_length" in value:
        return _blocks(line, value, unit)
    raise ValueError(
        'it has no "prompt", "text", "messages" or "conversations"'
        + (', and its "body" is no object' if "body" in value else "")
    )


def _conversation(line: int, value: dict[str, Any], name: str, unit: str) -> FilePrompt:
    messages = read_messages(value[name], name)
    if name == "conversations":
        messages = _until_asked(messages)
    text = _text("\n".join(message.text for message in messages), name)
    return FilePrompt(
        line, text, messages, _output(value), _tools(value), at=_time(value), unit=unit
    )


def _until_asked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Without the answers that stand at the end: they are to be generated."""
    while messages and messages[-1].role == "assistant":
        messages = messages[:-1]
    if not messages:
        raise ValueError('"conversations" has no turn that could be answered')
    return messages


def _blocks(line: int, value: dict[str, Any], unit: str) -> FilePrompt:
    tokens = _whole(value, "input_length")
    ids = value.get("hash_ids") or []
    if not isinstance(ids, list) or not all(_is_whole(one) for one in ids):
        raise ValueError('"hash_ids" must be a list of whole numbers')
    most = -(-tokens // BLOCK_TOKENS)
    if len(ids) > most:
        raise ValueError(
            f'{len(ids)} "hash_ids" are more than {tokens} tokens have blocks of {BLOCK_TOKENS}'
        )
    blocks = tuple(int(one) for one in ids)
    at = _time(value)
    return FilePrompt(
        line,
        "",
        output_tokens=_output(value),
        at=at,
        blocks=blocks,
        prompt_tokens=tokens,
        unit=unit,
    )


def _text(value: Any, name: str = "prompt") -> str:
    if isinstance(value, list) and len(value) == 1:  # as OpenAI's API takes several
        value = value[0]
    if not isinstance(value, str):
        raise ValueError(f'"{name}" must be a string')
    if not value:
        raise ValueError("the prompt is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f'"{name}" has half a surrogate pair, which is no character') from None
    return value


def _tools(value: dict[str, Any]) -> tuple[Any, ...]:
    tools = value.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise ValueError('"tools" must be a list of objects')
    return tuple(tools)


def _time(value: dict[str, Any]) -> float | None:
    """Seconds, of a `timestamp` in milliseconds; one that is no number is another program's."""
    told = value.get("timestamp")
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    if not isfinite(told):
        raise ValueError('"timestamp" must be a finite number of milliseconds')
    return told / 1000


def _output(value: dict[str, Any]) -> int | None:
    name = next((name for name in _OUTPUTS if value.get(name) is not None), None)
    return None if name is None else _whole(value, name)


def _whole(value: dict[str, Any], name: str) -> int:
    tokens = value[name]
    if not _is_whole(tokens) or not 1 <= tokens <= _MOST:
        raise ValueError(f'"{name}" must be a whole number of at least 1')
    return int(tokens)


def _is_whole(value: Any) -> bool:
    """A whole number, also where JSON spells it 8.0."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
