"""Records a run: events to a journal from a thread of its own, at the end to a Parquet file.

A recorder that fails says so in `error` and lets the run go on. Knows no source and no session.
"""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl
from polars.exceptions import PanicException

from llamatop import __version__
from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, ModelLoaded, RunEnded, RunStarted, ServerKnown
from llamatop.recording.files import (
    SUFFIX,
    journal_of,
    open_new,
    shown,
    sync_folder,
    temporary_of,
    why,
)
from llamatop.recording.journal import Head, Journal
from llamatop.recording.parquet import empty, grouped, open_table, write_table
from llamatop.recording.schema import (
    SCHEMA_VERSION,
    events_of,
    from_blob,
    table_of,
    to_blob,
)
from llamatop.text.formatting import duration

FLUSH_SECONDS = 0.5
"""How often what has gathered is written: the most that a kill can take."""

_LARGEST_BLOB = 1 << 16
"""Events of one blob."""

LAST = 64
"""The run's end is among so many last events: several processes interleave."""


Named = Callable[[Path, str], Path]
"""From where a recording was begun, and its model's name, to where it belongs."""


class Recorder:
    """Keeps every event it is given; a `pump.Sink`.

    Raises InputError where `path` cannot be recorded to: it exists, somebody records it, or its
    folder cannot be written.
    """

    def __init__(
        self, path: str | Path, keep_text: bool = False, named: Named | None = None
    ) -> None:
        """`named`: where the recording belongs once a server has said what its model is called."""
        self.path = Path(path).absolute()
        self._named = named
        self._model = ""
        self.error: str | None = None
        """Why recording stopped, and how far it goes; what came before is kept."""
        self._until: int | None = None
        """Time of the last event that was written."""
        self.saved = False
        """Whether the recording is whole at `path`."""
        self.kept = False
        """Whether `path` can be opened: it is saved, or its journal is there to be recovered."""
        self._queue: deque[Event] = deque()
        self._keep_text = keep_text
        self._journal: Journal | None = _new_journal(self.path, keep_text)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events that were taken and are not yet on their way to the journal."""
        return len(self._queue)

    def write(self, events: Sequence[Event]) -> None:
        """Take events; returns at once and never raises."""
        if self.error is None and not self._closing.is_set():
            self._queue.extend(events)

    def close(self) -> None:
        """Write the rest and turn the journal to the recording; told in `error` if that fails."""
        if journal := self._stop():
            self._flush(journal)
            named = self._named if self._model else None
            path = named(self.path, self._model) if named is not None else self.path
            try:
                finalise(journal, path)
                self.path, self.saved = path, True
            except (Exception, PanicException) as error:
                self._fail(error)
                journal.close()
            self.kept = self.saved or os.path.lexists(journal.path)
            if self.kept and not self.saved:
                self.error = f"{self.error}; `llamatop replay` recovers what came before"

    def discard(self) -> None:
        """Stop, and leave no file; told in `error` if that fails."""
        if journal := self._stop():
            try:
                journal.remove()
            except OSError as error:
                self._fail(error)

    def _stop(self) -> Journal | None:
        """End the thread; the journal, the first time."""
        self._closing.set()
        self._thread.join()
        journal, self._journal = self._journal, None
        return journal

    def _run(self) -> None:
        journal = self._journal
        while journal is not None and not self._closing.wait(FLUSH_SECONDS):
            self._flush(journal)

    def _flush(self, journal: Journal) -> None:
        """Append what has gathered; after a failure nothing more, so that no gap arises."""
        while self._queue and self.error is None:
            events = [self._queue.popleft() for _ in range(min(len(self._queue), _LARGEST_BLOB))]
            if self._named is not None and not self._model:
                told = (e.model for e in events if isinstance(e, ServerKnown) and e.model)
                self._model = next(told, "")
            try:
                journal.append(to_blob(table_of(events, self._keep_text)))
                self._until = events[-1].time
            except (Exception, PanicException) as error:
                self._fail(error)
                self._queue.clear()

    def _fail(self, error: BaseException) -> None:
        """Keep the first reason, in one line."""
        if self.error is None:
            self.error = f"{shown(self.path)}: {why(error)}; {self._reach()}"

    def _reach(self) -> str:
        if self._until is None or not os.path.lexists(journal_of(self.path)):
            return "nothing is left of it"
        return f"it goes as far as {duration(self._until / SECOND)}"


def _new_journal(path: Path, keep_text: bool) -> Journal:
    if path.name.endswith(SUFFIX):
        raise InputError(f"{shown(path)}: names ending in {SUFFIX} are llamatop's own")
    try:
        if path.is_dir():
            raise InputError(f"{shown(path)} is a folder; name a file in it")
        if os.path.lexists(path):
            raise InputError(f"{shown(path)} exists already; choose another name, or remove it")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = Head(SCHEMA_VERSION, __version__, keep_text, socket.gethostname())
        return Journal.create(journal_of(path), head)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise InputError(
            f"{shown(path)}: cannot be recorded to: {why(error)}; choose another place with --out"
        ) from None


def finalise(journal: Journal, path: Path) -> dict[str, str]:
    """Turn a journal to the recording at `path`, and remove it; the recording's facts.

    At every moment the journal or the recording is whole. Nothing is overwritten. Raises OSError,
    sqlite3.Error, polars' errors, with the journal as it was.
    """
    temporary = temporary_of(journal.path)
    temporary.unlink(missing_ok=True)
    facts = facts_of(journal)
    try:
        _write(journal, facts, temporary)
        _compare(journal, temporary)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    journal.remove()
    return facts


def _write(journal: Journal, facts: dict[str, str], temporary: Path) -> None:
    with open_new(temporary) as file:
        write_table(file, map(from_blob, journal.blobs()), facts)
        os.fsync(file.fileno())


_TELLING = ["RunStarted", "ModelLoaded", "ServerKnown"]
"""Kinds of which the file's metadata tells."""


class Chain(Protocol):
    """A journal, as far as its facts need it."""

    @property
    def digest(self) -> bytes:
        """Checksum of the whole."""

    @property
    def lost(self) -> int:
        """Blobs that are missing in it."""

    def head(self) -> Head | None:
        """The first blob; None where it cannot be read."""

    def blobs(self) -> Iterator[bytes]:
        """Those after it."""


def facts_of(journal: Chain) -> dict[str, str]:
    """What the file's metadata tells: these facts and no others, as texts."""
    count, notable, last = 0, [], empty()
    for table in grouped(map(from_blob, journal.blobs())):
        count += table.height
        notable.append(table.filter(pl.col("kind").is_in(_TELLING)))
        last = pl.concat([last, table]).tail(LAST)
    events, _ = events_of(pl.concat(notable))
    facts = {"events": str(count), "journal": journal.digest.hex()}
    if journal.lost:
        facts["salvaged"] = str(journal.lost)
    if head := journal.head():
        facts |= {
            "schema": str(head.schema),
            "version": head.version,
            "text": "kept" if head.keep_text else "left out",
        }
    for event in events:
        if isinstance(event, RunStarted):
            facts |= {"model": event.config.model, "started_at": event.started_at}
        if isinstance(event, ServerKnown) and event.model and not facts.get("model"):
            facts["model"] = event.model
        if isinstance(event, ModelLoaded):
            facts["engine"] = event.engine
    complete = is_complete(events_of(last)[0])
    return {**facts, "complete": "true" if complete else "false"}


def is_complete(events: Sequence[Event]) -> bool:
    """Whether the run's end is among the last events."""
    return any(isinstance(event, RunEnded) for event in events[-LAST:])


def _compare(journal: Journal, temporary: Path) -> None:
    """Read the file back; OSError unless it says what the journal says."""
    written = open_table(temporary).parts()
    for table in grouped(map(from_blob, journal.blobs())):
        if not table.equals(next(written, empty())):
            raise OSError(errno.EIO, "what was written reads back differently")
    if next(written, None) is not None:
        raise OSError(errno.EIO, "what was written reads back longer")


def publish(temporary: Path, path: Path) -> None:
    """Give the file its name, which must be free still."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        temporary.rename(path)
    sync_folder(path.parent)
