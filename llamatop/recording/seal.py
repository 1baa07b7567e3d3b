"""A checksum over every byte of a Parquet file, kept in the file's own metadata.

Its digits count as zeros, so any tool can read the file as it is. It goes with the file's size: a
file of another size was written by another tool, which copied the metadata.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO

from llamatop.recording.footer import footer_of

CHECKSUM = "llamatop.checksum"
"""Its name in the metadata."""

_DIGITS = 32

BLANK = f"{0:020d}-{'0' * _DIGITS}"
"""A file's size in bytes and its checksum, before they are known."""

_MARK = re.compile(rb"llamatop\.checksum\x18\x35(\d{20})-([0-9a-f]{32})")
"""Name and value as they lie in a footer: Thrift's field header and length between them."""


class BrokenSealError(Exception):
    """A file's bytes are not those that were sealed."""


def seal(file: BinaryIO) -> None:
    """Fill in the size and checksum of a file that was written with a `BLANK` one."""
    file.seek(0)
    data = file.read()
    mark = _MARK.search(data, footer_of(data).start)
    if mark is None:
        raise OSError("the file just written has no place for its checksum")
    file.seek(mark.start(1))
    file.write(f"{len(data):020d}-{_digest(data, mark.start(1))}".encode())
    file.flush()


def is_sealed(data: bytes, footer_start: int) -> bool:
    """Whether a checksum vouches for a file; False where it has none of its own.

    Raises BrokenSealError where its own does not match.
    """
    mark = _MARK.search(data, footer_start)
    if mark is None:
        return False
    if _digest(data, mark.start(1)) == mark[2].decode():
        return True
    if int(mark[1]) == len(data):
        raise BrokenSealError
    return False


def _digest(data: bytes, mark: int) -> str:
    """Checksum of a file whose own size and checksum, at `mark`, count as zeros."""
    view = memoryview(data)
    digest = hashlib.blake2b(view[:mark], digest_size=_DIGITS // 2)
    digest.update(BLANK.encode())
    digest.update(view[mark + len(BLANK) :])
    return digest.hexdigest()
