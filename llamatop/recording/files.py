"""The files of a recording: their names, their modes, how they last, how messages name them.

Knows nothing of what is in them.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import BinaryIO

from llamatop.events.sanitize import one_line

SUFFIX = ".journal"

_COMPANIONS = ("-wal", "-shm", "-tmp")
"""Files that stand beside a journal: SQLite's own, and a table that is being written."""


def journal_of(path: Path) -> Path:
    """Where the journal of a recording is."""
    return Path(f"{path}{SUFFIX}")


def parts_of(path: Path) -> list[str]:
    """Names of the recordings that a run of several made of this one: `.1`, `.2`; `.a`, `.b`."""
    stem = path.name.removesuffix(".parquet")
    part = re.compile(rf"{re.escape(stem)}\.(\d+|[ab])\.parquet({re.escape(SUFFIX)})?")
    try:
        names = [one.name for one in path.parent.iterdir() if part.fullmatch(one.name)]
    except (OSError, ValueError):
        return []
    return sorted({one_line(name.removesuffix(SUFFIX)) for name in names})


def temporary_of(journal: Path) -> Path:
    """Where the table is written before it gets its name."""
    return Path(f"{journal}-tmp")


def remove_companions(journal: Path) -> None:
    """Remove what stands beside a journal that is not there, or not yet."""
    for ending in _COMPANIONS:
        companion = Path(f"{journal}{ending}")
        if os.path.lexists(companion):
            companion.unlink()


def open_new(path: Path) -> BinaryIO:
    """A new file that only its owner may read; FileExistsError where there is one."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shown(path: Path) -> str:
    """A path as it may stand in a message."""
    return one_line(str(path))


def why(error: BaseException) -> str:
    """What an exception says, in one line; of a full disk the same, whoever met it."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(told.partition("\n")[0])
