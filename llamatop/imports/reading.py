"""Reads bytes, JSON and lines of JSON within bounds; whatever is wrong with them is one line.

What is decoded is named by its type, so that a file's texts and whatever else is not asked for
take no memory. Knows no tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from llamatop.errors import InputError
from llamatop.recording.files import shown, why

LARGEST = 2 << 30
"""Bytes of a file that is read at all."""

LONGEST_LINE = 64 << 20
"""Bytes of one line of JSON."""

T = TypeVar("T")

_NO_JSON = re.compile(rb"(?<=[:,\[\s])(?:NaN|-?Infinity)(?=\s*[,\]}])")
"""What Python's json writes and JSON does not have."""


def read(path: Path) -> bytes:
    """All of a file; InputError where that cannot be."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{shown(path)}: {size:,} bytes; more than {LARGEST:,} are not read")
        if not path.is_file():
            raise InputError(f"{shown(path)} is no file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: cannot be read: {why(error)}") from None
    if not data.strip():
        raise InputError(f"{shown(path)} is empty")
    return data


def decoded(data: bytes, kind: type[T], path: Path) -> T:
    """A JSON text as `kind`; NaN and infinities become null."""
    try:
        return msgspec.json.decode(data, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if _NO_JSON.search(data):
            return decoded(_NO_JSON.sub(b"null", data), kind, path)
        raise InputError(f"{shown(path)}: {_said(error)}") from None


def lines(data: bytes, kind: type[T], path: Path) -> Iterator[T]:
    """Each line of JSON; InputError names the first that is none, and how a cut file ends."""
    decoder = msgspec.json.Decoder(kind, strict=False)
    start, number = 0, 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        line = data[start:end]
        start = end + 1
        if not line.strip():
            continue
        if len(line) > LONGEST_LINE:
            raise InputError(f"{shown(path)}: line {number} is longer than {LONGEST_LINE:,} bytes")
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            where = f"{shown(path)}: line {number}"
            raise InputError(f"{where}: {_said(error)}") from None


def _said(error: BaseException) -> str:
    """Why it could not be decoded."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    told = why(error)
    if "truncated" in told:
        return "cut off: the JSON text ends too early"
    return f"not what such a file holds: {told}"
