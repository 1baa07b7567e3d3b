"""The journal of a recording in the making: blobs in a SQLite file that a kill cannot break.

Each blob carries a checksum chained to the blob before it, so what is read back is an exact
prefix of what was appended. The file is locked as long as somebody records or recovers it. Knows
nothing of what a blob means.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from llamatop.errors import InputError
from llamatop.recording import salvage
from llamatop.recording.files import (
    SUFFIX,
    open_new,
    remove_companions,
    shown,
    sync_folder,
)
from llamatop.recording.holding import is_held, take
from llamatop.recording.pages import PAGE

_APPLICATION_ID = 0x6C6C_746F
DIGEST = 16
"""Bytes of a checksum, which stands before each blob."""
SEED = hashlib.blake2b(b"llamatop journal", digest_size=DIGEST).digest()
"""What the first one is chained to."""

_MOST_BLOBS = 1 << 40
"""No journal has as many: the last key that SQLite has could not be followed by another."""

_NO_DAMAGE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
"""Errors that tell of the machine rather than of the file."""

_Rows = Iterable[tuple[object, object]]


class Head(msgspec.Struct, frozen=True):
    """The first blob: who wrote the journal, and how."""

    schema: int
    version: str
    """Of llamatop."""
    keep_text: bool
    host: str = ""
    """The name of the machine that records; empty: not told, as by older versions."""


class Journal:
    """A locked journal. Made by `create` or `open`; ends with `close` or `remove`."""

    def __init__(self, path: Path, lock: BinaryIO) -> None:
        self.path = path
        self.damaged = False
        """Whether something after the readable prefix is lost."""
        self.lost = 0
        """Blobs known to be damaged, or missing, before one that is whole; see `salvage`."""
        self.digest = SEED
        """Checksum of the whole chain so far."""
        self._length = 0
        self._lock = lock
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._whole: list[tuple[int, bytes]] = []
        """Of a damaged journal: place and content of what can be read, see `salvage`."""
        self._beyond: list[tuple[int, bytes]] = []

    @classmethod
    def create(cls, path: Path, head: Head) -> Journal:
        """A new journal, readable by its owner only.

        Raises InputError where one exists, OSError or sqlite3.Error where it cannot be made.
        """
        try:
            lock = open_new(path)
        except FileExistsError:
            raise InputError(_in_the_way(path)) from None
        try:
            take(path, lock)
            remove_companions(path)
            journal = cls(path, lock)
            journal._lay_out()
            journal.append(msgspec.json.encode(head))
            sync_folder(path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            remove_companions(path)
            lock.close()
            raise
        return journal

    @classmethod
    def open(cls, path: Path) -> Journal:
        """A journal that was left behind; InputError where somebody uses it still.

        Raises OSError or sqlite3.Error where it cannot be opened; damage is no error.
        """
        lock = path.open("r+b")
        try:
            take(path, lock)
            journal = cls(path, lock)
            journal._survey()
        except BaseException:
            lock.close()
            raise
        return journal

    def _lay_out(self) -> None:
        """Every blob reaches the file itself at once: it is whole even without its WAL.

        So whoever follows the run (`tail`) needs neither the WAL nor a lock.
        """
        self._database.execute(f"PRAGMA page_size={PAGE}")
        self._database.execute("PRAGMA auto_vacuum=NONE")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("PRAGMA wal_autocheckpoint=1")
        self._database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        self._database.execute("CREATE TABLE blobs (sequence INTEGER PRIMARY KEY, sealed BLOB)")

    def append(self, blob: bytes) -> None:
        """Add a blob, durably; OSError or sqlite3.Error where that fails, with nothing added."""
        if not self._in_place():
            raise FileNotFoundError("the journal was removed while it was written")
        digest = seal(self.digest, blob)
        self._database.execute("INSERT INTO blobs VALUES (?, ?)", (self._length, digest + blob))
        self.digest = digest
        self._length += 1

    def head(self) -> Head | None:
        """The first blob; None where not even that can be read."""
        blob = dict(self._whole).get(0) if self.damaged else next(self._blobs(0), None)
        return None if blob is None else msgspec.json.decode(blob, type=Head)

    def blobs(self) -> Iterator[bytes]:
        """The blobs after the head, verified, in order."""
        return self._blobs(1)

    def salvage(self) -> None:
        """From here on also what is whole after the first damage, with the gap left out."""
        self._whole, self._beyond = self._whole + self._beyond, []

    def _blobs(self, start: int) -> Iterator[bytes]:
        if self.damaged:
            return (blob for place, blob in self._whole if place >= start)
        sound = islice(_verified(self._stored()), self._length)
        return (blob for _, blob in islice(sound, start, None))

    def _survey(self) -> None:
        """Find how much can be read: by SQLite, or past it where it gives up early."""
        self._length, self.digest, whole = _prefix(self._stored())
        if whole:
            return
        self.damaged = True
        rows = dict(_readable(self._stored()))
        self._database.close()
        rows = salvage.rows(self.path.read_bytes()) | rows
        self._length, self.digest, _ = _prefix(sorted(rows.items()))
        sound = _sound(rows)
        self._whole = [(place, blob) for place, blob in sound if place < self._length]
        self._beyond = [(place, blob) for place, blob in sound if place >= self._length]
        if self._beyond:
            self.lost = self._beyond[-1][0] + 1 - len(sound)

    def _stored(self) -> _Rows:
        """Each row by itself, so that no query stays open when reading stops early."""
        query = "SELECT sequence, sealed FROM blobs WHERE sequence >= ? ORDER BY sequence LIMIT 1"
        read = self._database.execute
        sequence = 0
        while row := read(query, (sequence,)).fetchone():
            if not sequence <= row[0] < _MOST_BLOBS:  # a damaged index may give any row
                raise sqlite3.DatabaseError("a blob is out of its place")
            yield row
            sequence = row[0] + 1
        if read("SELECT count(*) FROM blobs").fetchone() != (sequence,):
            raise sqlite3.DatabaseError("a blob is missing")

    def _in_place(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._lock.fileno()))

    def close(self) -> None:
        """Let go of the journal; it stays and can be recovered."""
        self._database.close()
        self._lock.close()

    def remove(self) -> None:
        """Take the journal away, its own file first: what is left then holds nothing."""
        self._database.close()
        if self._in_place():
            self.path.unlink()
            remove_companions(self.path)
        self._lock.close()


def _in_the_way(path: Path) -> str:
    """Why no journal can be made where one is."""
    recording = shown(path.with_name(path.name.removesuffix(SUFFIX)))
    if is_held(path):
        return f"{recording}: another llamatop is recording it; choose another name"
    return (
        f"{shown(path)} is left from a run that was cut off; recover it with "
        f"`llamatop replay {recording}`, or choose another name"
    )


def seal(before: bytes, blob: bytes) -> bytes:
    """A blob's checksum, chained to the one before."""
    return hashlib.blake2b(blob, digest_size=DIGEST, key=before).digest()


def _verified(rows: _Rows) -> Iterator[tuple[bytes, bytes]]:
    """(checksum, blob) of each row; sqlite3.DatabaseError where the chain breaks."""
    digest = SEED
    for expected, (sequence, sealed) in enumerate(rows):
        if sequence != expected or not isinstance(sealed, bytes):
            raise sqlite3.DatabaseError("a blob is missing")
        digest, blob = seal(digest, sealed[DIGEST:]), sealed[DIGEST:]
        if digest != sealed[:DIGEST]:
            raise sqlite3.DatabaseError("a blob is damaged")
        yield digest, blob


def _readable(rows: _Rows) -> Iterator[tuple[int, bytes]]:
    """The rows that SQLite gives before it gives up."""
    try:
        for place, sealed in rows:
            if isinstance(place, int) and isinstance(sealed, bytes):
                yield place, sealed
    except (sqlite3.Error, UnicodeDecodeError):
        return


def _sound(rows: Mapping[int, bytes]) -> list[tuple[int, bytes]]:
    """The place and the blob of each row that its checksum vouches for, in order.

    Each is chained to the checksum of the row before it as that is stored, whatever is behind it.
    """
    found = []
    for place, sealed in sorted(rows.items()):
        before = SEED if place == 0 else rows.get(place - 1, b"")[:DIGEST]
        if len(before) == DIGEST and sealed[:DIGEST] == seal(before, sealed[DIGEST:]):
            found.append((place, sealed[DIGEST:]))
    return found


def _prefix(rows: _Rows) -> tuple[int, bytes, bool]:
    """The sound prefix: its length, its last checksum, and whether nothing comes after it."""
    length, digest = 0, SEED
    try:
        for digest, _ in _verified(rows):  # noqa: B007  (the last one counts)
            length += 1
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes the bytes it rejects
        if getattr(error, "sqlite_errorcode", None) in _NO_DAMAGE:
            raise
        return length, digest, False
    return length, digest, True
