"""The one long table of a recording: events to rows and back.

Common fields have columns, whatever else an event holds is one JSON text. Knows no file; an event
that this version cannot read is left out and counted.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from llamatop.events import KINDS, Event, Tick, TokensEmitted
from llamatop.sanitize import clean_event

SCHEMA_VERSION = 1
"""Raised when a reader of an older version would misread the table."""

COLUMNS: dict[str, Any] = {
    "time_ns": pl.Int64,
    "kind": pl.String,
    "request": pl.Int32,
    "count": pl.Int32,
    "text": pl.String,
    "payload": pl.String,
}
"""Each column and its type; all but `time_ns` and `kind` may be null."""

_SLICE = 100_000
"""Rows that are turned to Python values at a time."""

_REST: dict[type[Event], tuple[str, ...]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in ("time", "request"))
    for kind in KINDS.values()
}
_REST[TokensEmitted] = ()
"""The fields of each kind that go to the payload."""


def table_of(events: Sequence[Event], keep_text: bool) -> pl.DataFrame:
    """One row for each event, in order; lone surrogates become U+FFFD.

    Raises OverflowError or polars' errors where a number does not fit its column.
    """
    try:
        return _table(events, keep_text)
    except UnicodeEncodeError:
        return _table([clean_event(event) for event in events], keep_text)


def _table(events: Sequence[Event], keep_text: bool) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "time_ns": [event.time for event in events],
            "kind": [type(event).__name__ for event in events],
            "request": [getattr(event, "request", None) for event in events],
            "count": [e.count if isinstance(e, TokensEmitted) else None for e in events],
            "text": [
                e.text if keep_text and isinstance(e, TokensEmitted) else None for e in events
            ],
            "payload": [_payload(event) if _REST[type(event)] else None for event in events],
        },
        schema=COLUMNS,
    )


def _payload(event: Event) -> str:
    """Every field without a column, as JSON."""
    fields = {name: _plain(getattr(event, name)) for name in _REST[type(event)]}
    return msgspec.json.encode(fields).decode()


def _plain(value: object) -> object:
    """The value with NaN and infinities, which JSON lacks, as texts."""
    match value:
        case float():
            return value if math.isfinite(value) else str(value)
        case tuple():
            return [_plain(part) for part in value]
        case msgspec.Struct():
            return _plain(msgspec.structs.asdict(value))
        case dict():
            return {key: _plain(part) for key, part in value.items()}
    return value


def events_of(table: pl.DataFrame) -> tuple[list[Event], int]:
    """The events of a table with `COLUMNS`, and how many rows of a known kind do not fit it.

    Kinds and payload fields that this version does not know are passed over.
    """
    events: list[Event] = []
    misfits = 0
    for part in table.iter_slices(_SLICE):
        misfits += _decode(part, events)
    return events, misfits


def _decode(table: pl.DataFrame, events: list[Event]) -> int:
    """Append the events of a table; how many rows did not fit."""
    add, misfits = events.append, 0
    columns = [table[name].to_list() for name in COLUMNS]
    for time, kind, request, count, text, payload in zip(*columns, strict=True):
        if time is None:
            misfits += kind in KINDS
        elif kind == "TokensEmitted":
            if request is None or count is None:
                misfits += 1
            else:
                add(TokensEmitted(time, request, count, text))
        elif kind == "Tick":
            add(Tick(time))
        elif kind in KINDS:
            event = _event(KINDS[kind], time, request, payload)
            if event is None:
                misfits += 1
            else:
                add(event)
    return misfits


_fields = msgspec.json.Decoder(dict[str, Any])


def _event(kind: type[Event], time: int, request: int | None, payload: str | None) -> Event | None:
    """One event of a rare kind; None where its row does not fit."""
    try:
        fields = _fields.decode(payload) if payload is not None else {}
        fields["time"] = time
        if request is not None:
            fields["request"] = request
        return msgspec.convert(fields, kind, strict=False)
    except (msgspec.MsgspecError, RecursionError):
        return None


def to_blob(table: pl.DataFrame) -> bytes:
    """A table as a compressed Arrow IPC stream."""
    buffer = io.BytesIO()
    table.write_ipc_stream(buffer, compression="zstd")
    return buffer.getvalue()


def from_blob(blob: bytes) -> pl.DataFrame:
    """The table of a blob, whose checksum was verified before: Arrow notices no damage."""
    return pl.read_ipc_stream(io.BytesIO(blob))
