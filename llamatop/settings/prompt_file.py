"""A file of prompts: one JSON value a line, or one JSON array of them, read and checked.

Knows no tokenizer; what a line may be says `prompt_lines`.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from llamatop.errors import InputError
from llamatop.settings.messages import are_messages
from llamatop.settings.prompt_lines import FilePrompt, prompt_of

_ENCODINGS = (
    ("UTF-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, b"\0\0\0")),
    ("UTF-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0")),
)
"""Encodings that are not read, by what a file of them begins with."""


LARGEST = 1 << 30
"""Bytes of a file that are read."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a file holds."""

    prompts: list[FilePrompt]
    left_out: int = 0
    """Conversations without a turn."""


def read_prompts(path: str) -> list[FilePrompt]:
    """Every prompt of a file, in order; InputError naming file and line where one is bad."""
    return read_file(path).prompts


def read_file(path: str) -> PromptFile:
    """Every prompt of a file, and how many lines were none; raises InputError."""
    data = _read(path)
    _check_encoding(path, data)
    prompts, empty = [], 0
    for number, unit, value in _values(path, data.removeprefix(codecs.BOM_UTF8)):
        try:
            prompt = prompt_of(number, value, unit)
        except (ValueError, RecursionError) as error:
            raise _bad(path, f"{unit} {number}", error) from None
        if prompt is None:
            empty += 1
        else:
            prompts.append(prompt)
    if not prompts:
        raise InputError(f"--prompts {path}: no prompts in it; give one JSON object a line")
    _check_times(path, prompts)
    return PromptFile(prompts, empty)


def _read(path: str) -> bytes:
    """All of a file or of a pipe; a device has no end."""
    try:
        with Path(path).open("rb") as file:
            if stat.S_ISCHR(os.fstat(file.fileno()).st_mode) and path != os.devnull:
                raise InputError(f"--prompts {path}: is a device, not a file")
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--prompts {path}: cannot be read: {reason}") from None
    if len(data) > LARGEST:
        raise InputError(f"--prompts {path}: larger than {LARGEST >> 30} GiB; give a part of it")
    return data


def _check_encoding(path: str, data: bytes) -> None:
    without_mark = "UTF-32" if data[1:4] == b"\0\0\0" else "UTF-16" if data[1:2] == b"\0" else None
    named = (name for name, marks in _ENCODINGS if data.startswith(marks))
    if name := next(named, without_mark):
        raise InputError(f"--prompts {path}: its encoding is {name}; save it as UTF-8")


def _check_times(path: str, prompts: list[FilePrompt]) -> None:
    """All lines have a time, or none."""
    timed = [prompt for prompt in prompts if prompt.at is not None]
    if timed and len(timed) < len(prompts):
        first = next(prompt for prompt in prompts if prompt.at is None)
        raise InputError(
            f'--prompts {path}, {first.where}: it has no "timestamp", as other lines have; give '
            "one to all, or to none"
        )


def _values(path: str, data: bytes) -> list[tuple[int, str, Any]]:
    """The values of the file with their places, and whether these are lines or items."""
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not lines:
        return []
    try:
        first = _decode(lines[0][1])
    except (ValueError, RecursionError) as error:
        return _document(path, data, _bad(path, f"line {lines[0][0]}", error))
    if len(lines) == 1 and isinstance(first, list) and not are_messages(first):
        return [(number, "item", value) for number, value in enumerate(first, 1)]
    values = [(lines[0][0], "line", first)]
    for number, line in lines[1:]:
        try:
            values.append((number, "line", _decode(line)))
        except (ValueError, RecursionError) as error:
            raise _bad(path, f"line {number}", error) from None
    return values


def _document(path: str, data: bytes, otherwise: InputError) -> list[tuple[int, str, Any]]:
    """A file that is one JSON value over many lines; raises `otherwise` where it is not."""
    try:
        whole = _decode(data)
    except (ValueError, RecursionError):
        raise otherwise from None
    if isinstance(whole, list) and not (whole and are_messages(whole)):
        return [(number, "item", value) for number, value in enumerate(whole, 1)]
    return [(1, "line", whole)]


def _decode(text: bytes) -> Any:
    """A JSON value; NaN and Infinity too, which Python's own encoder writes."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(str(error)) from None


def _bad(path: str, where: str, error: BaseException) -> InputError:
    return InputError(f"--prompts {path}, {where}: {error}")
