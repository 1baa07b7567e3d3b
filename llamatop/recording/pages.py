"""The pages of an SQLite file, read without SQLite: a row of a table by its key.

Knows the file format (https://www.sqlite.org/fileformat2.html) and nothing of what the rows mean.
Takes no lock and asks no journal: a row may come out wrong, so the caller verifies each one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

PAGE = 4096
"""Bytes of a page of the files read here."""

ReadPage = Callable[[int], bytes]
"""A page by its number, from 1; less than a page where the file ends before its end."""

TABLE_LEAF = 13
_TABLE_INNER = 5
_LEAF_HEADER, _INNER_HEADER = 8, 12
_LARGEST_LOCAL = PAGE - 35
_SMALLEST_LOCAL = (PAGE - 12) * 32 // 255 - 23
_ROW_LIMIT = 1 << 30
_DEEPEST = 12
"""Levels of a tree: an inner page has hundreds of children."""


def row(read: ReadPage, root: int, key: int) -> bytes | None:
    """The last column of a row; None where it is not there, or not in one piece."""
    number = root
    for _ in range(_DEEPEST):
        page = read(number) if number > 0 else b""
        if len(page) < PAGE:
            return None
        if page[0] == TABLE_LEAF:
            return dict(rows_on(read, page, key)).get(key)
        if page[0] != _TABLE_INNER:
            return None
        number = _child(page, key)
    return None


def _child(page: bytes, key: int) -> int:
    """The page below an inner one that leads to a key; 0 where the page makes no sense."""
    try:
        for at in _cells(page, _INNER_HEADER):
            if key <= _varint(page, at + 4)[0]:
                return int.from_bytes(page[at : at + 4], "big")
    except IndexError:
        return 0
    return int.from_bytes(page[8:12], "big")


def _cells(page: bytes, header: int) -> Iterator[int]:
    """Where each cell of a page begins; those that cannot be on it are left out."""
    count = int.from_bytes(page[3:5], "big")
    for pointer in range(header, min(header + 2 * count, len(page) - 1), 2):
        at = int.from_bytes(page[pointer : pointer + 2], "big")
        if at < len(page):
            yield at


def rows_on(read: ReadPage, page: bytes, only: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The sound-looking rows of a leaf page by their keys; or of them the one with a key."""
    for at in _cells(page, _LEAF_HEADER):
        try:
            size, start = _varint(page, at)
            key, start = _varint(page, start)
            if only is None or key == only:
                yield key, _last_column(read, page, size, start)
        except (IndexError, ValueError):
            continue


def _last_column(read: ReadPage, page: bytes, size: int, at: int) -> bytes:
    """Of a row of so many bytes that begins at `at`."""
    if not 0 < size < _ROW_LIMIT:
        raise ValueError(size)
    local = _local(size)
    if at + local > PAGE:
        raise ValueError(at)
    record = page[at : at + local]
    if local < size:
        first = int.from_bytes(page[at + local : at + local + 4], "big")
        record += _overflow(read, first, size - local)
    if len(record) < size:
        raise IndexError(size)
    header, _ = _varint(record, 0)
    return record[header:]


def _local(size: int) -> int:
    """How many bytes of a row lie on its leaf page; the rest on a chain of overflow pages."""
    if size <= _LARGEST_LOCAL:
        return size
    local = _SMALLEST_LOCAL + (size - _SMALLEST_LOCAL) % (PAGE - 4)
    return local if local <= _LARGEST_LOCAL else _SMALLEST_LOCAL


def _overflow(read: ReadPage, number: int, size: int) -> bytes:
    parts = []
    for done in range(0, size, PAGE - 4):
        page = read(number) if number > 1 else b""
        if len(page) < 4:
            raise IndexError(number)
        parts.append(page[4 : 4 + min(PAGE - 4, size - done)])
        number = int.from_bytes(page[:4], "big")
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A big-endian number of up to nine bytes, and where it ends."""
    value = 0
    for end in range(at, at + 8):
        value = value << 7 | data[end] & 0x7F
        if data[end] < 0x80:
            return value, end + 1
    return value << 8 | data[at + 8], at + 9
