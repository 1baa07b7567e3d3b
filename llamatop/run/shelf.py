"""What a long run without a screen need not hold in memory, put away in a file without a name.

Requests that are over, the oldest first, and the older half of what is told again and again go
there in blocks; `whole` gives the session as if nothing had been put away. Knows no recording and
no figure.
"""

from __future__ import annotations

import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from llamatop.errors import InputError
from llamatop.events.kinds import AnyEvent
from llamatop.session.reducer import Session
from llamatop.session.requests import Request, Served

MOST_REQUESTS = 512
"""So many that are over are put away together."""

MOST_EMISSIONS = 1 << 16
"""Or fewer requests, where they have so many emissions together."""

MOST_EVENTS = 256
"""Samples of one kind that are held, or things to be told; half of them are put away together."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a block lies in the file, and how many measured requests of each level are in it."""

    start: int
    size: int
    levels: Counter[int]


class Shelf:
    """The file lies in `folder`; it is made when it is needed, and gone with `close`.

    Where it cannot be written, nothing more is put away: memory grows then, and no figure is lost.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0
        self._full = False
        self._requests: list[_Part] = []
        self._events: dict[str, list[_Part]] = {}

    def __enter__(self) -> Shelf:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        """Close it."""
        if self._file is not None:
            self._file.close()

    def lighten(self, session: Session) -> None:
        """Put away what is enough for a block; the session's `level.forgotten` counts it."""
        try:
            while not self._full and (over := _over(session)):
                self._put_requests(session, over)
            for name, events in _growing(session) if not self._full else ():
                if len(events) >= MOST_EVENTS:
                    self._put_events(name, events)
        except OSError:
            self._full = True

    def whole(self, session: Session, level: int | None = None) -> Session:
        """A session of its own with all that was put away, or of requests those of a `level` only.

        Raises InputError where the file cannot be read any more.
        """
        other = session.copy()
        try:
            for name, events in _growing(other):
                parts = self._events.get(name, ())
                events[:0] = [event for part in parts for event in _events(self._read(part))]
            self._bring_back(other, level)
        except (OSError, ValueError, zlib.error) as error:
            raise InputError(
                f"figures that were put away in {self._folder} cannot be read back ({error}); "
                "`llamatop show` with the recording's name has them"
            ) from None
        return other

    def _bring_back(self, session: Session, level: int | None) -> None:
        parts = [part for part in self._requests if level is None or level in part.levels]
        requests = [one for part in parts for one in _unpacked(self._read(part), session)]
        session.requests = {one.id: one for one in requests} | session.requests
        for id, to in session.levels.items():
            back = [one for one in requests if one.level == id and not one.warmup]
            to.requests[:0] = back
            to.forgotten -= len(back)

    def _put_requests(self, session: Session, over: list[Request]) -> None:
        measured = Counter(one.level for one in over if not one.warmup)
        self._requests.append(self._write(_packed(over), Counter(one.level for one in over)))
        for one in over:
            del session.requests[one.id]
        for id, count in measured.items():
            if (level := session.levels.get(id)) is not None:
                del level.requests[:count]
                level.forgotten += count

    def _put_events(self, name: str, events: list[Any]) -> None:
        half = len(events) // 2
        part = self._write(_encode(events[:half]), Counter())
        self._events.setdefault(name, []).append(part)
        del events[:half]

    def _write(self, block: bytes, levels: Counter[int]) -> _Part:
        if self._file is None:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115  (closed in the end)
                dir=self._folder, buffering=0
            )
        packed = zlib.compress(block, 1)
        self._file.seek(self._end)
        if self._file.write(packed) != len(packed):
            raise OSError("written in part only")
        part = _Part(self._end, len(packed), levels)
        self._end += len(packed)
        return part

    def _read(self, part: _Part) -> bytes:
        if self._file is None:
            raise ValueError("it is not there")
        self._file.seek(part.start)
        return zlib.decompress(self._file.read(part.size))


def _over(session: Session) -> list[Request]:
    """The oldest requests, up to the first that is not over, if they are enough for a block."""
    over: list[Request] = []
    emissions, taken = 0, Counter[int]()
    for one in takewhile(lambda one: not one.active, session.requests.values()):
        if not one.warmup:
            level = session.levels.get(one.level)
            place = taken[one.level]
            if level is None or place >= len(level.requests) or level.requests[place] is not one:
                return []  # its level has them in another order, as no run without a screen does
            taken[one.level] += 1
        over.append(one)
        emissions += len(one.times)
        if len(over) >= MOST_REQUESTS or emissions >= MOST_EMISSIONS:
            return over
    return []


def _growing(session: Session) -> Iterator[tuple[str, list[Any]]]:
    """Lists of events that only grow, by a name of each."""
    yield "notable", session.notable
    yield "host", session.host
    yield "client", session.client
    for id, sampled in session.devices.items():
        yield f"device {id}", sampled
    for id, allocated in session.allocated.items():
        yield f"allocated {id}", allocated


_NAMES = [one.name for one in fields(Request)]
_encode = msgspec.msgpack.Encoder(enc_hook=lambda column: column.tobytes()).encode
_events = msgspec.msgpack.Decoder(list[AnyEvent]).decode
_rows = msgspec.msgpack.Decoder(list[dict[str, Any]]).decode


def _packed(requests: Iterable[Request]) -> bytes:
    return _encode([{name: getattr(one, name) for name in _NAMES} for one in requests])


def _unpacked(block: bytes, session: Session) -> Iterator[Request]:
    """The requests of a block; how their tokens came is shared again with the session's."""
    for row in _rows(block):
        row["times"] = array("q", row["times"])
        row["counts"] = session.spreads.get(row["counts"]) or array("i", row["counts"])
        row["served"] = row["served"] and msgspec.convert(row["served"], Served)
        yield Request(**row)
