"""Opens a recording: a Parquet file, or the journal of a run that was cut off or still goes on.

An orphaned journal is turned to its Parquet file first; of one that grows, what is there is read.
Knows no screen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec import MsgspecError
from polars.exceptions import PanicException, PolarsError

from llamatop.errors import InputError
from llamatop.events.kinds import RunEnded, RunStarted
from llamatop.recording.bounds import sound, too_many
from llamatop.recording.checks import check_version
from llamatop.recording.files import SUFFIX, journal_of, remove_companions, shown, why
from llamatop.recording.growing import Growing, being_recorded
from llamatop.recording.holding import is_held
from llamatop.recording.journal import Journal
from llamatop.recording.parquet import Table, open_table
from llamatop.recording.schema import block_of
from llamatop.recording.writer import LAST, finalise
from llamatop.session.blocks import Block, Blocks
from llamatop.session.reducer import Session

ASIDE = ".damaged"
"""Ending of a damaged file that made room for what its journal still holds."""


@dataclass(frozen=True)
class Recording:
    """All that a file tells."""

    path: Path
    events: Blocks
    """In the order in which they were recorded."""
    facts: dict[str, str]
    """Of the run, from the file's metadata: `model`, `engine`, `started_at`, `version`, …"""
    notices: list[str]
    """What the person should know, a line each: recovered, passed over."""
    complete: bool
    """Whether the run came to its end and nothing of it was lost."""


@dataclass(frozen=True)
class Folded:
    """What a file adds up to; the events themselves are not held."""

    path: Path
    session: Session
    """Without generated text."""
    facts: dict[str, str]
    notices: list[str]
    complete: bool
    growing: bool = False
    """Whether it is still being made: there will be more."""


def open_recording(path: str | Path) -> Recording:
    """Read a recording, by its name or its journal's.

    Raises InputError, one line, where it is missing, damaged, of a newer version, or none at all.
    """
    opened = Opened(path)
    events = Blocks(opened.blocks())
    return Recording(opened.path, events, opened.facts, opened.notices, opened.complete)


def fold_recording(path: str | Path) -> Folded:
    """The session that a recording adds up to, read part by part; raises as `open_recording`."""
    opened = Opened(path)
    session = opened.fold()
    told = opened.facts, opened.notices, opened.complete, opened.growing
    return Folded(opened.path, session, *told)


def salvage(path: str | Path) -> list[str]:
    """Recover what is whole of a journal, before its damage and after it; what there is to say.

    Raises InputError as `open_recording`; where there is no journal, nothing is done.
    """
    return _settle(recording_of(path), salvage=True)


class Opened:
    """A recording whose bytes were verified; what its rows tell is known after `blocks`.

    Raises as `open_recording`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = recording_of(path)
        tail = being_recorded(self.path)
        self.growing = tail is not None
        """Whether it is still being made, and this is what was there."""
        self.notices = _settle(self.path) if tail is None else []
        self._table = open_table(self.path) if tail is None else Growing(tail)
        self.facts = self._table.facts
        self.complete = False
        if self.growing:
            self.notices.append(_so_far(self.path, self._table))
        if lost := self.facts.get("salvaged"):
            self.notices.append(
                f"{shown(self.path)} was salvaged: {lost} part{'' if lost == '1' else 's'} of its "
                "journal lost; figures that reach over that gap are not whole"
            )
        if not self._table.sealed:
            self.notices.append(
                f"{shown(self.path)} has no checksum of its own: damage would go unnoticed"
            )

    def blocks(self, text: bool = True) -> Iterator[Block]:
        """All events in order, a part at a time; without `text` none has one.

        When they have run out, `complete` and `notices` tell of them too.
        """
        misfits = events = ended = tokens = latest = 0
        begun = False
        for part in self._table.parts(text):
            block, unfit = block_of(part)
            block, absurd = sound(block, latest)
            latest = max(latest, int(np.frombuffer(block.times, np.int64).max(initial=0)))
            tokens += int(np.frombuffer(block.counts, np.int32).sum(dtype=np.int64))
            if too_many(tokens, self._table.height):
                raise InputError(
                    f"{shown(self.path)} refused: its {self._table.height:,} events claim "
                    f"{tokens:,} tokens"
                )
            yield block
            misfits += unfit + absurd
            begun = begun or any(isinstance(event, RunStarted) for event in block.others.values())
            ends = [place for place, event in block.others.items() if isinstance(event, RunEnded)]
            ended = max((events + place + 1 for place in ends), default=ended)
            events += len(block)
        whole = not misfits and "salvaged" not in self.facts
        self.complete = whole and ended > 0 and events - ended < LAST
        if misfits and not begun:
            raise InputError(
                f"{shown(self.path)}: its numbers are those of no run: "
                f"rows that fit no event: {misfits:,}"
            )
        if misfits:
            self._tell(f"{shown(self.path)}: rows that fit no event were left out: {misfits:,}")

    def fold(self) -> Session:
        """What the events add up to, without their text."""
        session = Session()
        for block in self.blocks(text=False):
            block.fold_into(session)
        return session

    def _tell(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)


def _so_far(path: Path, table: Table | Growing) -> str:
    """That there will be more."""
    return f"{shown(path)} is still being recorded: this is of its first {table.height:,} events"


def recording_of(path: str | Path) -> Path:
    """The name of a recording, by it or its journal's."""
    path = Path(path)
    name = path.name.removesuffix(SUFFIX)
    return path.with_name(name) if name else path


def _settle(path: Path, salvage: bool = False) -> list[str]:
    """Deal with a journal beside the recording; what there is to say of it."""
    journal_path = journal_of(path)
    if os.path.lexists(journal_path):
        try:
            if os.path.lexists(path) and is_held(journal_path):
                return []  # whole since a moment ago: its writer removes the journal next
            return _settle_journal(journal_path, path, salvage)
        except (OSError, sqlite3.Error, PolarsError, PanicException, MsgspecError) as error:
            if os.path.lexists(path) and not os.path.lexists(journal_path):
                return []  # removed while it was looked at
            raise InputError(f"{shown(journal_path)}: cannot be recovered: {why(error)}") from None
    if os.path.lexists(path):
        with suppress(OSError):  # a leftover where nothing may be removed is in nobody's way
            remove_companions(journal_path)
    return []


def _settle_journal(journal_path: Path, path: Path, salvage: bool) -> list[str]:
    with closing(Journal.open(journal_path)) as journal:
        if os.path.lexists(path):
            return _reconcile(journal, path, salvage)
        return [_recover(journal, path, salvage)]


def _recover(journal: Journal, path: Path, salvage: bool) -> str:
    """Turn the journal to the recording."""
    name = shown(journal.path)
    if journal.lost and not salvage:
        raise InputError(
            f"{name}: a part of it is damaged, and what follows is whole; "
            f"`llamatop show {shown(path)} --salvage` recovers all but that part"
        )
    if salvage:
        journal.salvage()
    head = journal.head()
    if next(journal.blobs(), None) is None and (head is None or journal.damaged):
        raise InputError(f"{name}: nothing in it can be recovered")
    if head is not None:
        check_version(journal.path, str(head.schema))
    facts = finalise(journal, path)
    lost = ", its damaged end left out" if journal.damaged and not journal.lost else ""
    return f"recovered {int(facts['events']):,} events from {name} (the run was cut off){lost}"


def _reconcile(journal: Journal, path: Path, salvage: bool) -> list[str]:
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
        return [
            f"{shown(path)} is damaged; it is {shown(aside)} now",
            _recover(journal, path, salvage),
        ]
    if facts.get("journal") != journal.digest.hex():
        return [f"{shown(journal.path)} does not belong to {shown(path)}; it is left alone"]
    journal.remove()
    return []
