"""Reads a journal while somebody writes it, as far as it is whole, with no lock to wait for.

Every blob reaches the file itself when it is appended (`journal`), and its checksum tells whether
it is there in one piece: what is half written is read again the next time. The writer knows of no
reader. What was opened can be read to its end also when it was removed meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from llamatop.recording.holding import locked
from llamatop.recording.journal import DIGEST, SEED, Head, seal
from llamatop.recording.pages import PAGE, row

_ROOT = 2
"""The page where the journal's only table begins."""


class Tail:
    """A journal, read on and on. Raises OSError where it cannot be opened or read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Head | None = None
        """Who writes it; None: not written yet."""
        self.digest = SEED
        """Checksum of the chain of all that was taken."""
        self._length = 0
        self._file = path.open("rb")

    def take(self) -> Iterator[bytes]:
        """The blobs after those that were taken, without the head, verified, in order."""
        while (sealed := row(self._page, _ROOT, self._length)) is not None:
            digest, blob = seal(self.digest, sealed[DIGEST:]), sealed[DIGEST:]
            if digest != sealed[:DIGEST]:
                return
            self.digest = digest
            self._length += 1
            if self._length == 1:
                self.head = msgspec.json.decode(blob, type=Head)
            else:
                yield blob

    def _page(self, number: int) -> bytes:
        return os.pread(self._file.fileno(), PAGE, (number - 1) * PAGE)

    @property
    def held(self) -> bool:
        """Whether somebody writes it, or recovers it, now."""
        return locked(self._file)

    @property
    def in_place(self) -> bool:
        """Whether it has its name still: it is removed when the recording is whole."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Read no more."""
        self._file.close()
