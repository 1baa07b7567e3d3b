"""A recording that is written at once, from events that are all known: no journal, no thread.

Emissions come as columns, since a million of them need not be objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PanicException, PolarsError

from llamatop import __version__
from llamatop.errors import InputError
from llamatop.events.kinds import (
    Event,
    LevelEnded,
    ModelLoaded,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RunEnded,
    RunStarted,
    TokensCounted,
    TokensSummed,
)
from llamatop.recording.files import open_new, shown, why
from llamatop.recording.parquet import ROW_GROUP, open_table, write_table
from llamatop.recording.schema import COLUMNS, SCHEMA_VERSION, table_of
from llamatop.recording.writer import publish

_EMISSION = 1
_RANKS: dict[type[Event], int] = {
    TokensSummed: 2,
    TokensCounted: 3,
    RequestFinished: 4,
    RequestFailed: 4,
    RequestCancelled: 4,
    LevelEnded: 5,
    RunEnded: 6,
}
"""Which of two events at the same time comes later; others 0."""


@dataclass(frozen=True)
class Emitted:
    """Emissions of one token each: times (int64, ns), requests (int32), text where it is kept."""

    times: NDArray[np.int64]
    requests: NDArray[np.int32]
    texts: Sequence[str | None] | None = None


def write_whole(path: Path, rare: Sequence[Event], emitted: Emitted) -> None:
    """Write a recording, sealed and read back; InputError where it cannot be written.

    `rare` are all other events. They are put in the order of their times.
    """
    if os.path.lexists(path):
        raise InputError(f"{shown(path)} exists already; choose another folder, or remove it")
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            with open_new(temporary) as file:
                write_table(file, _tables(rare, emitted), _facts(rare, emitted))
                os.fsync(file.fileno())
            open_table(temporary)
            publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError, OverflowError, PolarsError, PanicException) as error:
        raise InputError(f"{shown(path)}: cannot be written: {why(error)}") from None


def _facts(rare: Sequence[Event], emitted: Emitted) -> dict[str, str]:
    facts = {
        "events": str(len(rare) + len(emitted.times)),
        "schema": str(SCHEMA_VERSION),
        "version": __version__,
        "text": "left out" if emitted.texts is None else "kept",
        "complete": "true",
    }
    for event in rare:
        if isinstance(event, RunStarted):
            facts |= {"model": event.config.model, "started_at": event.started_at}
        if isinstance(event, ModelLoaded):
            return {**facts, "engine": event.engine}
    return facts


def _tables(rare: Sequence[Event], emitted: Emitted) -> Iterator[pl.DataFrame]:
    """All rows in order, a row group at a time."""
    times = np.fromiter((event.time for event in rare), np.int64, len(rare))
    ranks = np.fromiter((_RANKS.get(type(event), 0) for event in rare), np.int8, len(rare))
    times = np.concatenate([times, emitted.times])
    ranks = np.concatenate([ranks, np.full(len(emitted.times), _EMISSION, np.int8)])
    order = np.lexsort((ranks, times))
    for start in range(0, len(order), ROW_GROUP):
        yield _part(rare, emitted, order[start : start + ROW_GROUP])


def _part(rare: Sequence[Event], emitted: Emitted, order: NDArray[np.intp]) -> pl.DataFrame:
    is_rare = order < len(rare)
    some = table_of([rare[place] for place in order[is_rare].tolist()], keep_text=True)
    places = order[~is_rare] - len(rare)
    texts = emitted.texts
    others = pl.DataFrame(
        {
            "time_ns": emitted.times[places],
            "request": emitted.requests[places],
            "text": None if texts is None else [texts[place] for place in places.tolist()],
        },
        schema_overrides={"text": pl.String},
    ).select(
        "time_ns",
        pl.lit("TokensEmitted").alias("kind"),
        "request",
        pl.lit(1, pl.Int32).alias("count"),
        "text",
        pl.lit(None, pl.String).alias("payload"),
    )
    where = np.concatenate([np.flatnonzero(is_rare), np.flatnonzero(~is_rare)])
    return pl.concat([some, others])[np.argsort(where)].select(list(COLUMNS))
