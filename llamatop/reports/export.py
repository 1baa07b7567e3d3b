"""A recording as plain tables: events, requests, levels, for other tools to read.

Raw times stay whole nanoseconds since the run began (`…_ns`), what is derived is in seconds
(`…_s`). What was not measured is null. `COLUMNS` says what each column means.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from llamatop.errors import InputError
from llamatop.events.kinds import Stage
from llamatop.events.sanitize import clean, clean_event
from llamatop.figures.levels import LevelFigures, level_figures
from llamatop.figures.requests import (
    counted,
    e2e,
    first_token,
    meets,
    prompt_size,
    queue_time,
    tpot,
    ttft,
)
from llamatop.figures.served import ServedFigures
from llamatop.figures.stats import spread_json
from llamatop.figures.steady import Steady
from llamatop.recording.files import why
from llamatop.recording.schema import table_of
from llamatop.reports.parquet import write_parquet
from llamatop.session.blocks import EMISSION, OTHER, Block
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request

FORMATS = ("csv", "json", "jsonl", "parquet")

COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "time_ns": "when it happened, nanoseconds since the run began",
        "kind": "which kind of event (see llamatop/events/kinds.py)",
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
        "emissions": "in how many emissions they came; null where a file does not tell",
        "scheduled_ns": "when it should have started",
        "admitted_ns": "when the engine took it",
        "first_token_ns": "when its first token came",
        "last_token_ns": "when its last token came",
        "ended_ns": "when it was over",
        "queue_s": "admitted - scheduled",
        "ttft_s": "first token - scheduled",
        "tpot_s": "(last token - first token) / (output tokens - 1); null below two tokens",
        "e2e_s": "last token - scheduled",
        "met_slo": "whether it kept every target of --slo; null without one, or if not done",
        "conversation": "the request with which its conversation began; null: it is in none",
        "turn": "which request of its conversation it is, from 1",
        "server": "the place among the --url of the server it went to; null: none",
        "due_ns": "when it could have been sent",
        "sent_ns": "when it was sent first",
        "resent": "whether it was sent again after a lost connection",
        "connected_ns": "when it had a connection",
        "status_ns": "when the status line came",
        "first_event_ns": "when the first event came, with a token or without",
        "first_answer_ns": "when the first token came that is no reasoning",
        "end_ns": "when its stream ended",
        "tokens_by": "how tokens were counted: token_ids, continuous, timings, usage, estimate",
        "short": "whether it ended well with fewer tokens than asked",
        "cached_prompt_tokens": "tokens of its prompt that server or engine had computed before",
        "reasoning_tokens": "of its output tokens, as the server counts",
    },
    "levels": {
        "level": "its number",
        "concurrency": "requests in flight",
        "outcome": "ok, oom, failed, stopped; null: the recording ends before",
        "error": "why it ended so",
        "ended_by": "what it had enough of: requests, time, interval; concurrency: it was changed; "
        "null: something else",
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
        "asked_request_s": "arrivals per second asked for; null of a closed loop",
        "real_request_s": "requests that began per second, first to last; null of a closed loop",
        "goodput_s": "those that kept every target of --slo / duration; null without one",
        "goodput_judged": "completed requests that could be judged by every target",
        "most_at_once": "the most measured requests that were in flight together",
        "steady_output_tok_s": "tokens per second while as many as the concurrency were in flight",
        "steady_from_s": "seconds into the level from which on its throughput had no slope",
        "steady_tok_s_mean": "output tokens per second from then on",
        "steady_tok_s_low": "the lower end of its 95 % confidence interval",
        "steady_tok_s_high": "the upper end",
        **{
            f"{name}_s_{part}": f"{part} of {what} over completed requests"
            for name, what in (
                ("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL (all gaps)"), ("e2e", "E2E"),
                ("queue", "the time in the queue"),
            )
            for part in ("mean", "p50", "p90", "p99")
        },
        "host_peak_bytes": "peak resident size of the engine's process",
        "device_peak_bytes": "peak memory of the accelerator, by torch; of a server, by the driver",
        "baseline_bytes": "the process after its warm-up, less the weights",
        "predicted_host_bytes": "what was predicted of host_peak_bytes",
        "predicted_device_bytes": "what was predicted of device_peak_bytes",
        "mbu": "memory bandwidth utilisation of decoding, a share of 1",
        "mfu": "model FLOPs utilisation, a share of 1",
        "joules_per_token": "energy of the accelerators / output_tokens",
        "held_back_by": "what most kept it from being faster",
        "memory_ended_in": "where memory ended: prefill, decode or both",
        "short": "requests to servers that ended well with fewer tokens than asked",
        "resent": "those that were sent again after a lost connection",
        "estimated_tokens": "output tokens that no server counted",
        "reasoning_tokens": "of the output tokens, as servers count",
        "cached_prompt_tokens": "tokens of prompts that servers or engine had computed before",
        **{
            f"ttfa_s_{part}": f"{part} of the time to the first token after reasoning"
            for part in ("mean", "p50", "p90", "p99")
        },
        "client_late_s_p99": "p99 of sent - due: how late the client sent",
        "client_lag_s_p99": "p99 of how late the client's event loop woke",
    },
}  # fmt: skip
"""Every column of every table, in order, and what it means."""

FORMULA = "=+-@\t\r"
"""What a formula of a spreadsheet begins with."""

_TEXTS = {
    "state", "error", "outcome", "ended_by", "held_back_by", "memory_ended_in", "tokens_by",
}  # fmt: skip
_RATIOS = ("mbu", "mfu", "joules_per_token")
_FLAGS = {"requests": {"warmup", "met_slo", "resent", "short"}}
"""Columns that say yes or no, by table."""

PART = 1 << 15
"""Rows that are made and written at a time."""


def one_table(name: str, session: Session) -> Iterator[pl.DataFrame]:
    """The requests or the levels of what a recording adds up to, in parts."""
    return requests_table(session) if name == "requests" else levels_table(session)


def events_table(blocks: Iterable[Block]) -> Iterator[pl.DataFrame]:
    """One row an event, in the order of the recording."""
    some = False
    for block in blocks:
        some = True
        yield _events(block)
    if not some:
        yield table_of([], keep_text=True)


def _events(block: Block) -> pl.DataFrame:
    """The events of a block as they are recorded, every text cleaned."""
    kinds = np.frombuffer(block.kinds, np.uint8)
    places = np.flatnonzero(kinds != OTHER)
    emitted = pl.Series(kinds[places] == EMISSION)
    texts = [block.texts[place] for place in places.tolist()] if block.texts else None
    common = pl.DataFrame(
        {
            "place": places,
            "time_ns": np.frombuffer(block.times, np.int64)[places],
            "request": np.frombuffer(block.requests, np.int32)[places],
            "count": np.frombuffer(block.counts, np.int32)[places],
            "text": None if texts is None else [text and clean(text) for text in texts],
        },
        schema_overrides={"text": pl.String, "place": pl.Int64},
    ).with_columns(
        pl.when(emitted).then(pl.lit("TokensEmitted")).otherwise(pl.lit("Tick")).alias("kind"),
        *(pl.when(emitted).then(pl.col(name)).alias(name) for name in ("request", "count")),
        pl.lit(None, pl.String).alias("payload"),
    )
    others = table_of([clean_event(event) for event in block.others.values()], keep_text=True)
    rare = others.with_columns(pl.Series("place", list(block.others), pl.Int64))
    return pl.concat([common.select(rare.columns), rare]).sort("place").drop("place")


def requests_table(session: Session) -> Iterator[pl.DataFrame]:
    """One row a request, warm-up included."""
    slo = session.started.config.slo if session.started else {}
    requests = list(session.requests.values())
    for start in range(0, len(requests) or 1, PART):
        part = requests[start : start + PART]
        rows = [_request(one, session.levels.get(one.level), slo) for one in part]
        yield _table("requests", rows)


def levels_table(session: Session) -> Iterator[pl.DataFrame]:
    """One row a level."""
    levels = session.levels.values()
    yield _table("levels", [_level(one, level_figures(session, one)) for one in levels])


def _request(request: Request, level: Level | None, slo: dict[str, float]) -> tuple[object, ...]:
    first, last = first_token(request), request.times[-1] if request.times else None
    judged = slo and request.state == "done"
    return (
        request.id, request.level, level.concurrency if level else None, request.warmup,
        request.state, request.error or None, prompt_size(request), request.max_tokens,
        request.tokens if counted(request) else None,
        None if request.summed else len(request.times),
        request.scheduled, request.admitted, first, last, request.ended,
        queue_time(request), ttft(request), tpot(request), e2e(request),
        meets(request, slo) if judged else None, request.conversation, request.turn,
        *_served(request),
    )  # fmt: skip


def _served(request: Request) -> tuple[object, ...]:
    """What is known of it where it went to a server."""
    served = request.served
    if served is None:
        return (*(None,) * 11, request.reused, None)
    stages: tuple[Stage, ...] = ("connected", "status", "event", "answer", "end")
    reached = (served.reached.get(stage) for stage in stages)
    return (
        served.server, served.due, served.sent, served.resent, *reached,
        served.by, request.short, served.cached, served.reasoning,
    )  # fmt: skip


def _level(level: Level, own: LevelFigures) -> tuple[object, ...]:
    spreads = (own.ttft, own.tpot, own.itl, own.e2e, own.queue)
    return (
        own.level, own.concurrency, own.outcome, own.error or None, own.ended_by or None,
        level.started, level.ended,
        own.requests, own.completed, own.failed, own.cancelled, own.prompt_tokens,
        own.output_tokens, own.coalesced, own.duration, own.output_rate, own.request_rate,
        own.asked_rate, own.real_rate, own.goodput, own.judged, own.most_at_once,
        own.steady_rate, *_steady(own.steady),
        *(
            getattr(spread, part) if spread else None
            for spread in spreads
            for part in ("mean", "p50", "p90", "p99")
        ),
        own.host_peak_bytes, own.device_peak_bytes, own.baseline_bytes,
        own.predicted_host_bytes, own.predicted_device_bytes,
        own.mbu, own.mfu, own.joules_per_token, own.held_back_by, own.memory_ended_in,
        *_level_served(own.served, own.cached_prompt_tokens),
    )  # fmt: skip


def _level_served(served: ServedFigures | None, cached: int | None) -> tuple[object, ...]:
    """What servers and their client add."""
    if served is None:
        return (*(None,) * 4, cached, *(None,) * 6)
    late, lag = served.client.late, served.client.lag
    return (
        served.short, served.resent, served.estimated_tokens, served.reasoning_tokens,
        served.cached_prompt_tokens, *spread_json(served.ttfa).values(),
        late.p99 if late else None, lag.p99 if lag else None,
    )  # fmt: skip


def _steady(steady: Steady | None) -> tuple[float | None, ...]:
    """Its start, its rate, and where that lies with 95 %."""
    if steady is None:
        return (None,) * 4
    low, high = steady.rate - steady.half_width, steady.rate + steady.half_width
    return steady.start, steady.rate, low, high


def _table(name: str, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    schema = {column: _kind(name, column) for column in COLUMNS[name]}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _kind(table: str, column: str) -> pl.DataType:
    if column in _TEXTS:
        return pl.String()
    if column in _FLAGS.get(table, ()):
        return pl.Boolean()
    derived = column.endswith("_s") or "_s_" in column or column in _RATIOS
    return pl.Float64() if derived else pl.Int64()


def encoded(
    tables: Iterable[pl.DataFrame],
    form: str,
    file: BinaryIO,
    metadata: Mapping[str, str] | None = None,
    bom: bool = False,
) -> None:
    """Write the parts of one table, at least one, to a file in one of `FORMATS`.

    Parquet keeps `metadata`; a CSV file begins with a byte order mark where `bom` says so.
    """
    if bom:
        file.write(codecs.BOM_UTF8)
    if form == "parquet":
        write_parquet(tables, file, metadata or {})
        return
    if form == "json":
        _array(tables, file)
        return
    for place, table in enumerate(tables):
        rows = io.BytesIO()  # a file that fails tells Python why, and polars not
        if form == "csv":
            harmless(table).write_csv(rows, include_header=place == 0)
        else:
            table.write_ndjson(rows)
        file.write(rows.getbuffer())


def harmless(table: pl.DataFrame) -> pl.DataFrame:
    """Texts that a spreadsheet would take for a formula, with an apostrophe before them."""
    begins = f"^[{re.escape(FORMULA)}]"
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    return table.with_columns(
        pl.when(pl.col(name).str.contains(begins))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )


def _array(tables: Iterable[pl.DataFrame], file: BinaryIO) -> None:
    """The rows as one JSON array, a line each."""
    before = b"[\n"
    for table in tables:
        if table.height:
            rows = io.BytesIO()
            table.write_ndjson(rows)
            file.write(before + rows.getvalue().rstrip(b"\n").replace(b"}\n{", b"},\n{"))
            before = b",\n"
    file.write(b"\n]\n" if before != b"[\n" else b"[]\n")


def write(
    tables: Iterable[pl.DataFrame],
    path: Path,
    form: str,
    metadata: Mapping[str, str] | None = None,
    bom: bool = False,
) -> None:
    """Write a table whole or not at all, as `encoded`. Raises InputError where it cannot be."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                encoded(tables, form, file, metadata, bom)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, PolarsError) as error:
        raise InputError(f"{path}: cannot be written: {why(error)}") from None
