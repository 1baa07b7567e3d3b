"""What libraries of this process write to stdout or stderr while the screen has the terminal.

It goes to a file, not over the screen, and is handed back as lines: a panic in Rust, a warning in
C. What the screen itself writes goes to the terminal by another descriptor. POSIX only.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from llamatop.events.sanitize import clean

KEPT = 65_536
"""Bytes at most of which the lines are handed back: the newest."""


@contextmanager
def aside() -> Iterator[list[str]]:
    """Keep the terminal for the screen; the list gets what was written elsewhere at the end."""
    lines: list[str] = []
    stream = sys.__stderr__
    if os.name != "posix" or stream is None or not stream.isatty():
        yield lines
        return
    kept, before = [os.dup(1), os.dup(2)], (sys.__stdout__, sys.__stderr__)
    screen = _over(kept[1], stream)
    with tempfile.TemporaryFile() as log:
        try:
            for descriptor in (1, 2):
                os.dup2(log.fileno(), descriptor)
            sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc, assignment]
            yield lines
        finally:
            sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
            for descriptor, whole in zip((1, 2), kept, strict=True):
                os.dup2(whole, descriptor)
                os.close(whole)
            lines += _lines(log)


def _over(descriptor: int, like: TextIO) -> TextIO:
    """The terminal, spelled as the stream before; it is closed by whoever has the descriptor."""
    return open(descriptor, "w", encoding=like.encoding, errors=like.errors, closefd=False)


def _lines(log: BinaryIO) -> list[str]:
    log.seek(max(log.seek(0, os.SEEK_END) - KEPT, 0))
    return [clean(line) for line in log.read().decode("utf-8", "replace").splitlines()]
