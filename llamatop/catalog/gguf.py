"""What a GGUF file says of itself: settings, and the type and shape of each tensor.

Reads headers and sizes, no weights; bounded in time and memory whatever a header claims. Knows
neither llama.cpp nor what the settings mean. Source: the GGUF specification of ggml
(`docs/gguf.md`), versions 2 and 3, either byte order.
"""

from __future__ import annotations

import io
import re
import struct
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO

from llamatop.catalog.ggml import TYPES, Type

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SETTINGS, _TENSORS, _ITEMS = 1 << 16, 1 << 18, 1 << 23
"""The most of each that a header may have; the largest models have some 1,000, 30,000, and 300,000
tokens with as many merges."""
_KEY, _TEXT = 1 << 16, 1 << 20
"""Bytes of a name, and of a text that is kept."""
_KEPT = 1 << 12
"""Numbers of an array that is kept: one a layer. Of longer ones only the length is."""
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""By their ids, as `struct` names them."""
_STRING, _ARRAY = 8, 9
_MOST_PARTS = 10_000
_SPLIT = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")

Scalar = int | float | bool | str
Setting = Scalar | list[Scalar]


class GgufError(Exception):
    """Why a file is no usable GGUF, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: rows of `shape[0]` numbers, as ggml counts dimensions. `place` in its file."""

    name: str
    type: Type
    shape: tuple[int, ...]
    place: int

    @property
    def numbers(self) -> int:
        """How many."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Stored."""
        return self.numbers // self.type.numbers * self.type.bytes


@dataclass(frozen=True, slots=True)
class Gguf:
    """A model: one file, or all parts of one that was split."""

    files: tuple[Path, ...]
    settings: dict[str, Setting]
    lengths: dict[str, int]
    """Of every array among the settings."""
    tensors: tuple[Tensor, ...] = field(repr=False)

    @property
    def architecture(self) -> str:
        """As llama.cpp names it: `llama`, `gemma3`, `clip`, …"""
        return str(self.settings.get("general.architecture", ""))

    @property
    def file_bytes(self) -> int:
        """Of all files."""
        return sum(file.stat().st_size for file in self.files)

    @property
    def stored_by_type(self) -> dict[str, int]:
        """Bytes of the tensors of each type, the most first."""
        found: Counter[str] = Counter()
        for tensor in self.tensors:
            found[tensor.type.name] += tensor.bytes
        return dict(found.most_common())

    def of(self, name: str) -> Setting | None:
        """A setting of its architecture, as `block_count`."""
        return self.settings.get(f"{self.architecture}.{name}")


def is_gguf(path: Path) -> bool:
    """Whether a name is a GGUF file's; nothing is opened."""
    return path.suffix.lower() == ".gguf"


def models_in(folder: Path) -> list[Path]:
    """The GGUF models in a folder, of split ones their first part; [] where it cannot be read."""
    try:
        files = sorted(file for file in folder.iterdir() if is_gguf(file) and file.is_file())
    except OSError:
        return []
    parts = [(file, _SPLIT.fullmatch(file.name)) for file in files]
    return [file for file, part in parts if part is None or part[2] == "00001"]


def read(path: Path) -> Gguf:
    """A model by its file, or by any part of it. Raises GgufError."""
    files = _parts(path)
    headers = [_read_header(file) for file in files]
    first = headers[0]
    told = first.settings.get("split.count", 1)
    if told not in (len(files), 0):
        raise GgufError(f"is a part of {told}, named otherwise than llama.cpp names parts")
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    return Gguf(tuple(files), first.settings, first.lengths, tensors)


def _parts(path: Path) -> list[Path]:
    split = _SPLIT.fullmatch(path.name)
    if split is None:
        return [path]
    count = int(split[3])
    if not 1 <= count <= _MOST_PARTS:
        raise GgufError(f"is by its name one of {count} parts")
    names = [f"{split[1]}-{n:05}-of-{split[3]}.gguf" for n in range(1, count + 1)]
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        raise GgufError(f"is one of {count} parts, of which {missing[0]} is not there")
    return [path.with_name(name) for name in names]


def _read_header(path: Path) -> Gguf:
    try:
        if not path.is_file():
            raise GgufError("is no file")
        with path.open("rb", buffering=1 << 18) as file:
            return _Header(file, path.stat().st_size).read(path)
    except (OSError, struct.error, UnicodeDecodeError) as error:
        raise GgufError(f"cannot be read: {error}") from None


class _Header:
    """One header, read from its start to its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = self._size = size
        self._order = "<"
        self._items = 0
        self._lengths: dict[str, int] = {}

    def read(self, path: Path) -> Gguf:
        """All of it; GgufError where it is damaged or claims what cannot be."""
        if self._take(4) != MAGIC:
            raise GgufError("is no GGUF: it does not begin as one")
        self._check_version(self._take(4))
        tensors, settings = self._number("Q"), self._number("Q")
        if tensors > _TENSORS or settings > _SETTINGS:
            raise GgufError(f"is damaged: it claims {tensors} tensors and {settings} settings")
        known: dict[str, Setting] = {}
        for _ in range(settings):
            self._setting(known)
        found = [self._tensor() for _ in range(tensors)]
        start = self._start_of_data(known.get("general.alignment", 32))
        placed = [Tensor(*one[:3], start + one[3]) for one in found]
        if any(one.place + one.bytes > self._size for one in placed):
            raise GgufError("is cut short")
        return Gguf((path,), known, self._lengths, tuple(placed))

    def _check_version(self, raw: bytes) -> None:
        version = int.from_bytes(raw, "little")
        if version & 0xFFFF == 0:
            self._order, version = ">", int.from_bytes(raw, "big")
        if version not in _VERSIONS:
            raise GgufError(f"is GGUF of version {version}; known are 2 and 3")

    def _setting(self, known: dict[str, Setting]) -> None:
        key, kind = self._text(_KEY), self._number("I")
        if key in known or key in self._lengths:
            raise GgufError(f"is damaged: it says {key[:80]!r} twice")
        if kind != _ARRAY:
            known[key] = self._text(self._size, _TEXT) if kind == _STRING else self._scalar(kind)
            return
        kind, count = self._number("I"), self._number("Q")
        self._items += count
        if self._items > _ITEMS:
            raise GgufError(f"is damaged: {key[:80]!r} claims {count} entries")
        self._lengths[key] = count
        if kind == _STRING:
            for _ in range(count):
                self._skip(self._number("Q"))
        elif kind not in _SCALARS:
            raise GgufError(f"is damaged: {key[:80]!r} has entries of no known type ({kind})")
        elif count > _KEPT:
            self._skip(count * struct.calcsize(f"<{_SCALARS[kind]}"))
        else:
            known[key] = [self._scalar(kind) for _ in range(count)]

    def _tensor(self) -> tuple[str, Type, tuple[int, ...], int]:
        name, count = self._text(_KEY), self._number("I")
        if not 1 <= count <= 4:
            raise GgufError(f"is damaged: {name[:80]!r} has {count} dimensions")
        shape = tuple(self._number("Q") for _ in range(count))
        kind, place = self._number("I"), self._number("Q")
        if kind not in TYPES:
            raise GgufError(f"stores {name[:80]!r} as ggml's type {kind}, which is none known here")
        if 0 in shape or shape[0] % TYPES[kind].numbers:
            raise GgufError(f"is damaged: {name[:80]!r} is of {shape} in {TYPES[kind].name}")
        return name, TYPES[kind], shape, place

    def _start_of_data(self, alignment: Setting) -> int:
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise GgufError("is damaged: its alignment is no number of bytes")
        read = self._size - self._left
        return -(-read // alignment) * alignment

    def _scalar(self, kind: int) -> Scalar:
        if kind not in _SCALARS:
            raise GgufError(f"is damaged: a setting is of no known type ({kind})")
        width = struct.calcsize(f"<{_SCALARS[kind]}")
        value: Scalar = struct.unpack(self._order + _SCALARS[kind], self._take(width))[0]
        return value

    def _number(self, kind: str) -> int:
        width = 8 if kind == "Q" else 4
        return int.from_bytes(self._take(width), "little" if self._order == "<" else "big")

    def _text(self, most: int, kept: int | None = None) -> str:
        """A string of at most `most` bytes; what goes beyond `kept` is passed over."""
        length = self._number("Q")
        if length > min(most, self._left):
            raise GgufError("is damaged or cut short in its header")
        taken = self._take(length if kept is None else min(length, kept))
        self._skip(length - len(taken))
        return taken.decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        self._left -= count
        data = self._file.read(count) if self._left >= 0 else b""
        if len(data) != count:
            raise GgufError("is empty or cut short in its header")
        return data

    def _skip(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise GgufError("is damaged or cut short in its header")
        if count:
            self._file.seek(count, io.SEEK_CUR)
