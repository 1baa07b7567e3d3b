"""What a Parquet file says of itself at its end, read without decoding a single value.

Enough of the format (https://parquet.apache.org/docs/file-format/) to know the rows, the sizes and
the metadata before memory is spent on them. Knows nothing of events.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"

_LARGEST = 1 << 24
"""Bytes of footer that are read: a recording's takes some hundred per 100,000 events."""

_DEEPEST = 32

Fields = dict[int, Any]
"""A Thrift struct by field number."""


@dataclass(frozen=True)
class Footer:
    """Claims of the file, not yet checked against its content."""

    start: int
    """Where it begins in the file."""
    rows: int
    bytes: int
    """Size of all pages before compression."""
    columns: list[str]
    metadata: dict[str, str]


def footer_of(data: bytes) -> Footer:
    """The footer of a whole file; ValueError where there is none."""
    end = len(data) - 8
    if end < len(MAGIC) or data[:4] != MAGIC or data[-4:] != MAGIC:
        raise ValueError("it is cut off")
    (length,) = struct.unpack_from("<I", data, end)
    if length > min(end - len(MAGIC), _LARGEST):
        raise ValueError("its end is damaged")
    try:
        return _footer(end - length, _Compact(data[end - length : end]).struct())
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its end is damaged") from error


def _footer(start: int, fields: Fields) -> Footer:
    """FileMetaData: 2 schema (4 name, 5 children), 3 rows, 4 row groups (2 size), 5 metadata."""
    leaves = [element for element in fields[2][1:] if 5 not in element]
    return Footer(
        start,
        rows=max(fields[3], sum(group[3] for group in fields[4])),
        bytes=sum(group[2] for group in fields[4]),
        columns=[_text(leaf[4]) for leaf in leaves],
        metadata={_text(pair[1]): _text(pair.get(2, b"")) for pair in fields.get(5, [])},
    )


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


class _Compact:
    """Decodes Thrift's compact protocol; IndexError or ValueError where the bytes do not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int = 0) -> Fields:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self._take(8)
            case 8:
                return self._take(self._varint())
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.struct(depth + 1)
        raise ValueError(f"unknown type {kind}")

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        return [self._value(head & 15, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise IndexError(size)
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
