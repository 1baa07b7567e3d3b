"""What can still be read of a damaged SQLite file: the rows on its whole leaf pages.

SQLite refuses a file whose first page or inner pages are gone, though the rows lie elsewhere. Knows
the file format (https://www.sqlite.org/fileformat2.html) and nothing of what the rows mean; a
row may come out wrong, so the caller verifies each one.
"""

from __future__ import annotations

from collections.abc import Iterator

PAGE = 4096
"""Bytes of a page of the files read here."""

_TABLE_LEAF = 13
_LEAF_HEADER = 8
_LARGEST_LOCAL = PAGE - 35
_SMALLEST_LOCAL = (PAGE - 12) * 32 // 255 - 23
_ROW_LIMIT = 1 << 30


def rows(data: bytes) -> dict[int, bytes]:
    """The last column of each row by its integer key, from every leaf page after the first."""
    found: dict[int, bytes] = {}
    for start in range(PAGE, len(data), PAGE):
        if data[start] == _TABLE_LEAF:
            found.update(_page(data, start))
    return found


def _page(data: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """The sound-looking rows of one leaf page."""
    count = int.from_bytes(data[start + 3 : start + 5], "big")
    for pointer in range(start + _LEAF_HEADER, start + _LEAF_HEADER + 2 * count, 2):
        offset = int.from_bytes(data[pointer : pointer + 2], "big")
        try:
            yield _cell(data, start, start + offset)
        except (IndexError, ValueError):
            continue


def _cell(data: bytes, page: int, at: int) -> tuple[int, bytes]:
    size, at = _varint(data, at)
    key, at = _varint(data, at)
    if not 0 < size < _ROW_LIMIT:
        raise ValueError(size)
    local = _local(size)
    if at + min(local, size) > page + PAGE:
        raise ValueError(at)
    record = data[at : at + local]
    if local < size:
        record += _overflow(data, at + local, size - local)
    if len(record) < size:
        raise IndexError(size)
    header, _ = _varint(record, 0)
    return key, record[header:]


def _local(size: int) -> int:
    """How many bytes of a row lie on its leaf page; the rest on a chain of overflow pages."""
    if size <= _LARGEST_LOCAL:
        return size
    local = _SMALLEST_LOCAL + (size - _SMALLEST_LOCAL) % (PAGE - 4)
    return local if local <= _LARGEST_LOCAL else _SMALLEST_LOCAL


def _overflow(data: bytes, link: int, size: int) -> bytes:
    parts = []
    for done in range(0, size, PAGE - 4):
        page = (int.from_bytes(data[link : link + 4], "big") - 1) * PAGE
        if not 0 < page < len(data):
            raise IndexError(page)
        parts.append(data[page + 4 : page + 4 + min(PAGE - 4, size - done)])
        link = page
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A big-endian number of up to nine bytes, and where it ends."""
    value = 0
    for end in range(at, at + 8):
        value = value << 7 | data[end] & 0x7F
        if data[end] < 0x80:
            return value, end + 1
    return value << 8 | data[at + 8], at + 9
