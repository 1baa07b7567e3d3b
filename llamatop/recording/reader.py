"""Opens a recording: a Parquet file, or the journal of a run that was cut off.

An orphaned journal is turned to its Parquet file first. Knows no screen and no session.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec import MsgspecError
from polars.exceptions import PanicException, PolarsError

from llamatop.errors import InputError
from llamatop.events import Event
from llamatop.recording.checks import check_version
from llamatop.recording.files import SUFFIX, journal_of, remove_companions, shown, why
from llamatop.recording.journal import Journal
from llamatop.recording.parquet import Table, open_table
from llamatop.recording.schema import events_of
from llamatop.recording.writer import finalise, is_complete

ASIDE = ".damaged"
"""Ending of a damaged file that made room for what its journal still holds."""


@dataclass(frozen=True)
class Recording:
    """All that a file tells."""

    path: Path
    events: list[Event]
    """In the order in which they were recorded."""
    facts: dict[str, str]
    """Of the run, from the file's metadata: `model`, `engine`, `started_at`, `version`, …"""
    notices: list[str]
    """What the person should know, a line each: recovered, passed over."""
    complete: bool
    """Whether the run came to its end and nothing of it was lost."""


def open_recording(path: str | Path) -> Recording:
    """Read a recording, by its name or its journal's.

    Raises InputError, one line, where it is missing, damaged, still being recorded, of a newer
    version, or none at all.
    """
    path = _recording(Path(path))
    notices = _settle(path)
    table = open_table(path)
    if not table.sealed:
        notices.append(f"{shown(path)} has no checksum of its own: damage would go unnoticed")
    events, misfits = _events(table)
    if misfits:
        notices.append(f"{shown(path)}: rows that fit no event were left out: {misfits:,}")
    complete = is_complete(events) and not misfits
    return Recording(path, events, table.facts, notices, complete)


def _recording(path: Path) -> Path:
    name = path.name.removesuffix(SUFFIX)
    return path.with_name(name) if name else path


def _events(table: Table) -> tuple[list[Event], int]:
    events: list[Event] = []
    misfits = 0
    for part in table.parts():
        more, unfit = events_of(part)
        events += more
        misfits += unfit
    return events, misfits


def _settle(path: Path) -> list[str]:
    """Deal with a journal beside the recording; what there is to say of it."""
    journal_path = journal_of(path)
    if os.path.lexists(journal_path):
        try:
            return _settle_journal(journal_path, path)
        except (OSError, sqlite3.Error, PolarsError, PanicException, MsgspecError) as error:
            raise InputError(f"{shown(journal_path)}: cannot be recovered: {why(error)}") from None
    if os.path.lexists(path):
        with suppress(OSError):  # a leftover where nothing may be removed is in nobody's way
            remove_companions(journal_path)
    return []


def _settle_journal(journal_path: Path, path: Path) -> list[str]:
    with closing(Journal.open(journal_path)) as journal:
        if os.path.lexists(path):
            return _reconcile(journal, path)
        return [_recover(journal, path)]


def _recover(journal: Journal, path: Path) -> str:
    """Turn the journal to the recording."""
    head = journal.head()
    if head is None or (journal.damaged and next(journal.blobs(), None) is None):
        raise InputError(f"{shown(journal.path)}: nothing in it can be recovered; remove it")
    check_version(journal.path, str(head.schema))
    facts = finalise(journal, path)
    lost = ", its damaged end left out" if journal.damaged else ""
    count = int(facts["events"])
    return f"recovered {count:,} events from {shown(journal.path)} (the run was cut off){lost}"


def _reconcile(journal: Journal, path: Path) -> list[str]:
    """Both are there: keep whichever is whole, and the journal of another run."""
    try:
        facts = open_table(path).facts
    except InputError:
        if next(journal.blobs(), None) is None:
            raise
        aside = path.with_name(path.name + ASIDE)
        if os.path.lexists(aside):
            raise
        path.rename(aside)
        return [f"{shown(path)} is damaged; it is {shown(aside)} now", _recover(journal, path)]
    if facts.get("journal") != journal.digest.hex():
        return [f"{shown(journal.path)} does not belong to {shown(path)}; it is left alone"]
    journal.remove()
    return []
