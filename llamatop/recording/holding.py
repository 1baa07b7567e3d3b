"""Who has a journal: a lock on its file that ends with the process, however that ends.

So a killed writer never looks alive, and no process id that is used anew looks like it. Over NFS
the lock is known to other machines where the server keeps locks, and to none where it does not.
"""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from llamatop.errors import InputError
from llamatop.recording.files import SUFFIX, shown

_PATIENCE, _PAUSE = 0.3, 0.01
"""Seconds for which a lock is tried, and between tries: who asks `locked` has it for a moment."""


def take(path: Path, file: BinaryIO) -> None:
    """Lock a journal until `file` is closed; InputError where somebody has it."""
    end = time.monotonic() + _PATIENCE
    while not _try(file, fcntl.LOCK_EX):
        if time.monotonic() > end:
            raise InputError(
                f"{shown(path)}: another llamatop is still recording it; wait until that run ends"
            )
        time.sleep(_PAUSE)


def locked(file: BinaryIO) -> bool:
    """Whether somebody records or recovers the journal that is open here."""
    if not _try(file, fcntl.LOCK_SH):
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def is_held(path: Path) -> bool:
    """The same of a journal by its name; OSError where it cannot be opened."""
    with path.open("rb") as file:
        return locked(file)


def held_now() -> list[Path]:
    """Journals that processes of this machine hold, wherever they are, as far as may be looked.

    None where the system has no `/proc`.
    """
    try:
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    holders = {line.split()[4] for line in locks if " FLOCK " in line and " WRITE " in line}
    found: dict[Path, None] = {}
    for holder in holders:
        with suppress(OSError):  # ended meanwhile, or another person's
            for opened in Path(f"/proc/{holder}/fd").iterdir():
                found[opened.readlink()] = None
    return [path for path in found if path.name.endswith(SUFFIX)]


def _try(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
