"""What the commands on recordings share: opening them, and writing a text whole."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from llamatop.errors import InputError
from llamatop.reports.runs import Run, open_run


def open_all(files: Sequence[str]) -> list[Run]:
    """Every recording, folded, with what is to be said of it on stderr.

    Raises InputError where one cannot be read.
    """
    gc.disable()  # a command of seconds; millions of requests' times are no garbage
    atexit.register(gc.freeze)  # nor does the end of the process look for any
    runs = [open_run(file) for file in files]
    for run in runs:
        for notice in run.notices:
            print(f"llamatop: {notice}", file=sys.stderr)
    return runs


def save_text(file: str, text: str) -> None:
    """Write a text whole or not at all. Raises InputError where it cannot be written."""
    path = Path(file)
    if not path.name:
        raise InputError(f"{file!r} names no file to write")
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
