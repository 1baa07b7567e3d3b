"""The one long table of a recording: events to rows and back.

Common fields have columns, whatever else an event holds is one JSON text. Knows no file; an event
that this version cannot read is left out and counted.
"""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from llamatop.events.kinds import KINDS, Event, TokensEmitted
from llamatop.events.sanitize import clean_event
from llamatop.session.blocks import EMISSION, OTHER, TICK, Block, Texts

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
    block, misfits = block_of(table)
    return list(block), misfits


def block_of(table: pl.DataFrame) -> tuple[Block, int]:
    """The same, as columns."""
    codes = table.select(_CODE).to_series()
    places = codes.to_frame().select(pl.arg_where(pl.first() == OTHER)).to_series().to_list()
    others, unfit = _others(table[places], places)
    misfits = int((codes == _UNFIT).sum()) + len(unfit)
    if misfits or (codes > OTHER).any():
        kept = [row for row, code in enumerate(codes) if code <= OTHER and row not in unfit]
        table, codes = table[kept], codes[kept]
        places = [place for place, row in enumerate(kept) if codes[place] == OTHER]
    texts = table["text"]
    emitted = table.select(
        pl.when(codes == EMISSION).then(pl.col(name)).otherwise(0) for name in ("request", "count")
    )
    block = Block(
        codes.to_numpy().tobytes(),
        times=array("q", table["time_ns"].to_numpy().tobytes()),
        requests=array("i", emitted["request"].to_numpy().tobytes()),
        counts=array("i", emitted["count"].to_numpy().tobytes()),
        others=dict(zip(places, others, strict=True)),
        texts=None if texts.is_null().all() else Texts(texts.to_list()),
    )
    return block, misfits


_UNFIT, _UNKNOWN = 3, 4
"""Codes beside those of a block: a row of a known kind that does not fit it, an unknown kind."""


def _code() -> pl.Expr:
    """What a row is, as far as its columns tell."""
    kind, timed = pl.col("kind"), pl.col("time_ns").is_not_null()
    counted = pl.col("request").is_not_null() & pl.col("count").is_not_null()
    return (
        pl.when(kind.is_null() | ~kind.is_in(list(KINDS)))
        .then(_UNKNOWN)
        .when(~timed)
        .then(_UNFIT)
        .when(kind == "Tick")
        .then(TICK)
        .when(kind != "TokensEmitted")
        .then(OTHER)
        .when(counted)
        .then(EMISSION)
        .otherwise(_UNFIT)
        .cast(pl.UInt8)
    )


_CODE = _code()


def _others(rows: pl.DataFrame, places: list[int]) -> tuple[list[Event], set[int]]:
    """The events of rare kinds, and the places of the rows that do not fit."""
    events, unfit = [], set()
    columns = (rows[name].to_list() for name in ("kind", "time_ns", "request", "payload"))
    for place, kind, time, request, payload in zip(places, *columns, strict=True):
        event = _event(KINDS[kind], time, request, payload)
        if event is None:
            unfit.add(place)
        else:
            events.append(event)
    return events, unfit


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
