"""What the commands on recordings share: opening them, and writing a text whole."""

from __future__ import annotations

import atexit
import gc
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.errors import InputError
from llamatop.reports.runs import Run, open_run

if TYPE_CHECKING:
    from llamatop.imports.told import Run as Told


def open_all(files: Sequence[str]) -> list[Run]:
    """Every recording, folded, with what is to be said of it on stderr.

    Raises InputError where one cannot be read.
    """
    gc.disable()  # a command of seconds; millions of requests' times are no garbage
    atexit.register(gc.freeze)  # nor does the end of the process look for any
    runs = [run for file in files for run in _open(file)]
    for run in runs:
        for notice in run.notices:
            print(f"llamatop: {notice}", file=sys.stderr)
    return runs


def _open(file: str) -> list[Run]:
    """The runs of a file: a recording, a table, or another tool's own results."""
    path = Path(file)
    if path.name.endswith(".table.json"):
        from llamatop.recording.tables import read_table
        from llamatop.reports.tables import run_of_table, stem

        return [run_of_table(read_table(path), stem(path), file)]
    return _foreign(path) if _is_foreign(path) else [open_run(file)]


def _is_foreign(path: Path) -> bool:
    """Whether it is no recording, and looks like a text or a folder that a tool wrote."""
    try:
        if path.is_dir():
            return True
        if not path.is_file():  # of a pipe reading would never end
            return False
        with path.open("rb") as file:
            return file.read(512).lstrip()[:1] in (b"{", b"[", b"=")
    except OSError:
        return False


def _foreign(path: Path) -> list[Run]:
    """Another tool's results, imported into a folder of their own that is gone afterwards."""
    from llamatop.imports.recognise import read
    from llamatop.imports.told import Run as Told
    from llamatop.reports.tables import run_of_table

    runs = []
    for name, found in read(path):
        if isinstance(found, Told):
            with tempfile.TemporaryDirectory(prefix="llamatop-") as folder:
                runs.append(_recorded(found, Path(folder) / f"{name}.parquet"))
        else:
            runs.append(run_of_table(found, name, str(path)))
    return runs


def _recorded(found: Told, path: Path) -> Run:
    from llamatop.imports.events import events_of
    from llamatop.recording.whole import write_whole

    write_whole(path, *events_of(found))
    return open_run(str(path))


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
