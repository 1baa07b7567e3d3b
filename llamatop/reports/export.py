"""A recording as plain tables: events, requests, levels, for other tools to read.

Raw times stay whole nanoseconds since the run began (`…_ns`), what is derived is in seconds
(`…_s`). What was not measured is null. `COLUMNS` says what each column means.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from llamatop.errors import InputError
from llamatop.events import Event
from llamatop.levels import LevelFigures, level_figures
from llamatop.metrics import e2e, queue_time, tpot, ttft
from llamatop.recording.schema import table_of
from llamatop.sanitize import clean_event
from llamatop.session import Level, Request, Session

TABLES = ("events", "requests", "levels")
FORMATS = ("csv", "json", "jsonl", "parquet")

COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "time_ns": "when it happened, nanoseconds since the run began",
        "kind": "which kind of event (see llamatop/events.py)",
        "request": "the request it is about",
        "count": "tokens that were emitted",
        "text": "their text, where it was recorded",
        "payload": "every other field of the event, as JSON",
    },
    "requests": {
        "request": "its number",
        "level": "the level that admitted it",
        "concurrency": "of that level",
        "warmup": "whether it is left out of all figures",
        "state": "done, failed, cancelled; queued, prefill, decode where the recording ends before",
        "error": "why it failed",
        "prompt_tokens": "tokens in",
        "max_tokens": "tokens asked for",
        "output_tokens": "tokens generated",
        "emissions": "in how many emissions they came",
        "scheduled_ns": "when it should have started",
        "admitted_ns": "when the engine took it",
        "first_token_ns": "when its first token came",
        "last_token_ns": "when its last token came",
        "ended_ns": "when it was over",
        "queue_s": "admitted - scheduled",
        "ttft_s": "first token - scheduled",
        "tpot_s": "(last token - first token) / (output tokens - 1); null below two tokens",
        "e2e_s": "last token - scheduled",
    },
    "levels": {
        "level": "its number",
        "concurrency": "requests in flight",
        "outcome": "ok, oom, failed, stopped; null: the recording ends before",
        "error": "why it ended so",
        "started_ns": "when it began, warm-up first",
        "ended_ns": "when it was over",
        "requests": "measured requests",
        "completed": "of these",
        "failed": "of these",
        "cancelled": "of these",
        "prompt_tokens": "tokens in",
        "output_tokens": "tokens out, of unfinished requests too",
        "coalesced_tokens": "tokens that came in an emission of several",
        "duration_s": "last token - first scheduled",
        "output_tok_s": "output tokens / duration",
        "request_s": "completed requests / duration",
        **{
            f"{name}_s_{part}": f"{part} of {what} over completed requests"
            for name, what in (
                ("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL (all gaps)"), ("e2e", "E2E"),
                ("queue", "the time in the queue"),
            )
            for part in ("mean", "p50", "p90", "p99")
        },
        "host_peak_bytes": "peak resident size of the engine's process",
        "device_peak_bytes": "peak memory of the accelerator, as torch counts it",
        "baseline_bytes": "the process after its warm-up, less the weights",
        "predicted_host_bytes": "what was predicted of host_peak_bytes",
        "predicted_device_bytes": "what was predicted of device_peak_bytes",
    },
}  # fmt: skip
"""Every column of every table, in order, and what it means."""

_TEXTS = {"state", "error", "outcome", "kind", "text", "payload"}


def one_table(name: str, events: Sequence[Event], session: Session) -> pl.DataFrame:
    """One of `TABLES`; the session is what the events add up to."""
    if name == "events":
        return events_table(events)
    return requests_table(session) if name == "requests" else levels_table(session)


def events_table(events: Sequence[Event]) -> pl.DataFrame:
    """One row an event, in the order of the recording."""
    return table_of([clean_event(event) for event in events], keep_text=True)


def requests_table(session: Session) -> pl.DataFrame:
    """One row a request, warm-up included."""
    rows = [_request(one, session.levels.get(one.level)) for one in session.requests.values()]
    return _table("requests", rows)


def levels_table(session: Session) -> pl.DataFrame:
    """One row a level."""
    levels = session.levels.values()
    return _table("levels", [_level(one, level_figures(session, one)) for one in levels])


def _request(request: Request, level: Level | None) -> tuple[object, ...]:
    first, last = (request.times[0], request.times[-1]) if request.times else (None, None)
    return (
        request.id, request.level, level.concurrency if level else None, request.warmup,
        request.state, request.error or None, request.prompt_tokens, request.max_tokens,
        request.tokens, len(request.times), request.scheduled, request.admitted, first, last,
        request.ended, queue_time(request), ttft(request), tpot(request), e2e(request),
    )  # fmt: skip


def _level(level: Level, own: LevelFigures) -> tuple[object, ...]:
    spreads = (own.ttft, own.tpot, own.itl, own.e2e, own.queue)
    return (
        own.level, own.concurrency, own.outcome, own.error or None, level.started, level.ended,
        own.requests, own.completed, own.failed, own.cancelled, own.prompt_tokens,
        own.output_tokens, own.coalesced, own.duration, own.output_rate, own.request_rate,
        *(
            getattr(spread, part) if spread else None
            for spread in spreads
            for part in ("mean", "p50", "p90", "p99")
        ),
        own.host_peak_bytes, own.device_peak_bytes, own.baseline_bytes,
        own.predicted_host_bytes, own.predicted_device_bytes,
    )  # fmt: skip


def _table(name: str, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    schema = {column: _kind(column) for column in COLUMNS[name]}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _kind(column: str) -> pl.DataType:
    if column in _TEXTS:
        return pl.String()
    if column == "warmup":
        return pl.Boolean()
    derived = column.endswith("_s") or "_s_" in column
    return pl.Float64() if derived else pl.Int64()


def encoded(table: pl.DataFrame, form: str) -> bytes:
    """A table in one of `FORMATS`."""
    buffer = io.BytesIO()
    match form:
        case "csv":
            table.write_csv(buffer)
        case "json":
            table.write_json(buffer)
        case "jsonl":
            table.write_ndjson(buffer)
        case _:
            table.write_parquet(buffer)
    return buffer.getvalue()


def write(table: pl.DataFrame, path: Path, form: str) -> None:
    """Write a table whole or not at all. Raises InputError where it cannot be written."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(encoded(table, form))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
