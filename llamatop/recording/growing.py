"""A recording that is still being made, as far as it was when it was opened.

Who makes it is known by the lock on its journal (`holding`). A journal of another machine that
nobody seems to hold is believed to be alive as long as it grows.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from llamatop.recording.checks import check_version
from llamatop.recording.files import journal_of
from llamatop.recording.journal import Head
from llamatop.recording.parquet import grouped
from llamatop.recording.schema import from_blob
from llamatop.recording.tail import Tail
from llamatop.recording.writer import facts_of

GROWS = 5.0
"""Seconds within which a journal of another machine grows: its writer flushes twice a second."""

_LATELY = 60.0


def being_recorded(path: Path) -> Tail | None:
    """The journal of a recording that is being made now; None where it is whole, or cut off."""
    if os.path.lexists(path):
        return None
    try:
        tail = Tail(journal_of(path))
    except (OSError, ValueError):  # no file can have such a name
        return None
    if tail.held or _grows_elsewhere(tail.path):
        return tail
    tail.close()
    return None


def elsewhere(head: Head | None) -> str:
    """The other machine that records; empty: this one, or not told."""
    return head.host if head is not None and head.host != socket.gethostname() else ""


def _grows_elsewhere(path: Path) -> bool:
    """Whether it is of another machine, and grows while we look."""
    try:
        tail = Tail(path)
        next(tail.take(), None)
        tail.close()
        before = path.stat().st_mtime_ns
        if not elsewhere(tail.head) or abs(time.time() - before / 1e9) > _LATELY:
            return False
        end = time.monotonic() + GROWS
        while time.monotonic() < end:
            if path.stat().st_mtime_ns != before:
                return True
            time.sleep(0.1)
    except OSError:
        pass
    return False


class Growing:
    """What such a journal holds now: a `parquet.Table`, and what `facts_of` asks of a journal."""

    sealed = True
    lost = 0

    def __init__(self, tail: Tail) -> None:
        """Reads it once, and closes it. InputError where a newer version writes it."""
        self.path = tail.path
        self._blobs = list(tail.take())
        self._head = tail.head
        self.digest = tail.digest
        tail.close()
        if self._head is not None:
            check_version(self.path, str(self._head.schema))
        self.facts = facts_of(self)
        del self.facts["journal"]  # of the whole, which nobody knows yet
        self.height = int(self.facts["events"])

    def head(self) -> Head | None:
        """Who writes it; None: not known yet."""
        return self._head

    def blobs(self) -> Iterator[bytes]:
        """All that was there."""
        return iter(self._blobs)

    def parts(self, text: bool = True) -> Iterator[pl.DataFrame]:
        """All rows in order; every `text` is null that is not asked for."""
        for table in grouped(map(from_blob, self._blobs)):
            yield table if text else table.with_columns(pl.lit(None, pl.String).alias("text"))
