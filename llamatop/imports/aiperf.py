"""AIPerf's `profile_export.jsonl`, with `profile_export_raw.jsonl` or `raw_records/` beside it.

Times are the epoch in whole ns, durations in the unit that stands with them. Warm-up is in the file
and marked. A cancelled request's times are repaired, see `_span`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.imports.headlines import Percentiles, spread
from llamatop.imports.reading import decoded, lines
from llamatop.imports.reading import read as read_bytes
from llamatop.imports.told import Run, Stretch, Told, count, nanoseconds, utc

UNITS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "sec": 1e9}


class Meta(msgspec.Struct, frozen=True):
    """What both kinds of line begin with."""

    x_request_id: str
    request_start_ns: int
    request_end_ns: int
    credit_issued_ns: int | None = None
    benchmark_phase: str = ""
    was_cancelled: bool = False


class _Value(msgspec.Struct, frozen=True):
    value: float | list[float] | None = None
    unit: str = ""


class _Metrics(msgspec.Struct, frozen=True):
    time_to_first_token: _Value = _Value()
    inter_chunk_latency: _Value = _Value()
    request_latency: _Value = _Value()
    usage_prompt_tokens: _Value = _Value()
    usage_completion_tokens: _Value = _Value()
    usage_prompt_cache_read_tokens: _Value = _Value()
    input_sequence_length: _Value = _Value()
    output_sequence_length: _Value = _Value()
    error_isl: _Value = _Value()
    osl_mismatch_diff_pct: _Value = _Value()


class _Trace(msgspec.Struct, frozen=True):
    response_receive_end_ns: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why a request failed."""

    code: int | None = None
    type: str = ""
    message: str = ""

    def __str__(self) -> str:
        """In one line."""
        code = "" if self.code is None else f"{self.code} "
        return f"{code}{self.type}: {self.message}"


class Line(msgspec.Struct, frozen=True):
    """A request in `profile_export.jsonl`."""

    metadata: Meta
    metrics: _Metrics
    error: Failure | None = None
    trace_data: _Trace | None = None


class _Packet(msgspec.Struct, frozen=True):
    name: str = ""
    value: str | None = None


class _Response(msgspec.Struct, frozen=True):
    perf_ns: int
    packets: list[_Packet] = []
    text: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    model: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class RawLine(msgspec.Struct, frozen=True):
    """A request in `profile_export_raw.jsonl`."""

    metadata: Meta
    start_perf_ns: int
    responses: list[_Response] = []
    error: Failure | None = None
    payload: _Payload = _Payload()


class _Text(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    text: str | None = None
    delta: _Text | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []
    error: msgspec.Raw | None = None


_chunk = msgspec.json.Decoder(_Chunk)


class _Phase(msgspec.Struct, frozen=True):
    kind: str = ""
    concurrency: int | None = None
    rate: float | None = None


class _Named(msgspec.Struct, frozen=True):
    name: str | None = None


class _Models(msgspec.Struct, frozen=True):
    items: list[_Named] = []


class _Input(msgspec.Struct, frozen=True):
    models: _Models | None = None
    phases: list[_Phase] = []


class _Summary(msgspec.Struct, frozen=True):
    aiperf_version: str | None = None
    input_config: _Input = _Input()
    request_throughput: Percentiles = Percentiles()
    output_token_throughput: Percentiles = Percentiles()
    request_count: Percentiles = Percentiles()
    error_request_count: Percentiles = Percentiles()
    total_output_tokens: Percentiles = Percentiles()
    benchmark_duration: Percentiles = Percentiles()
    time_to_first_token: Percentiles = Percentiles()
    inter_token_latency: Percentiles = Percentiles()
    inter_chunk_latency: Percentiles = Percentiles()
    request_latency: Percentiles = Percentiles()


def read(path: Path, keep_text: bool = False) -> Run:
    """The run of `path`, any of its files, and of what lies beside it."""
    folder = path.parent.parent if path.parent.name == "raw_records" else path.parent
    plain = folder / "profile_export.jsonl"
    told = list(lines(read_bytes(plain), Line, plain)) if plain.is_file() else []
    raw = {one.metadata.x_request_id: one for one in _raw(folder)}
    summary = _summary(folder / "profile_export_aiperf.json")
    requests = [_told(line, raw.get(line.metadata.x_request_id), keep_text) for line in told]
    known = {line.metadata.x_request_id for line in told}
    requests += [_of_raw(line, keep_text) for id, line in raw.items() if id not in known]
    if not requests:
        raise InputError(f"{path.name}: holds no request")
    measured = [one for one in summary.input_config.phases if one.kind != "warmup"]
    phase = measured[0] if measured else _Phase()
    first = min(one.sent for one in requests)
    models = summary.input_config.models
    names = [one.name for one in models.items] if models else []
    return Run(
        "aiperf", "AIPerf", path.name, "times are the time of day, in ns",
        [Stretch(requests, phase.concurrency, _figures(summary))],
        summary.aiperf_version,
        next(iter(names), None) or next((one.payload.model for one in raw.values()), None),
        utc(first), phase.rate, _notes(told, raw, requests),
    )  # fmt: skip


def _raw(folder: Path) -> Iterator[RawLine]:
    files = [folder / "profile_export_raw.jsonl"]
    if not files[0].is_file():
        files = sorted((folder / "raw_records").glob("*.jsonl"))
    for file in files:
        yield from lines(read_bytes(file), RawLine, file)


def _summary(path: Path) -> _Summary:
    return decoded(read_bytes(path), _Summary, path) if path.is_file() else _Summary()


def _ns(value: _Value) -> list[int]:
    """One duration or several, in ns; empty: not there."""
    scale = UNITS.get(value.unit)
    several = value.value if isinstance(value.value, list) else [value.value]
    if scale is None or value.value is None:
        return []
    return [nanoseconds(None if one is None else one * scale, "a metric") for one in several]


def _count(value: _Value) -> int | None:
    return None if isinstance(value.value, list) else count(value.value)


def _told(line: Line, raw: RawLine | None, keep_text: bool) -> Told:
    metrics, meta = line.metrics, line.metadata
    sent, ended = _span(line)
    first = _ns(metrics.time_to_first_token)
    chunks: list[int] = []
    if first:
        gaps = np.cumsum([first[0], *_ns(metrics.inter_chunk_latency)])
        chunks = (gaps + meta.request_start_ns).tolist()
    texts: list[str] = []
    if raw is not None:
        of_raw = _chunks(raw)
        if not chunks or keep_text:
            chunks, texts = [time for time, _ in of_raw], [text for _, text in of_raw]
    usage = _count(metrics.usage_completion_tokens)
    own = _count(metrics.output_sequence_length)
    prompt = _count(metrics.usage_prompt_tokens)
    return Told(
        sent,
        max(ended, chunks[-1] if chunks else ended),
        meta.credit_issued_ns,
        chunks,
        tokens=(own if usage is None else usage) if line.error is None else None,
        by="usage" if usage is not None else "estimate",
        prompt=_count(metrics.input_sequence_length if line.error is None else metrics.error_isl)
        if prompt is None
        else prompt,
        cached=_count(metrics.usage_prompt_cache_read_tokens),
        asked=_asked(metrics, raw),
        end="cancelled" if meta.was_cancelled else "failed" if line.error else "done",
        error=str(line.error or ""),
        warmup=meta.benchmark_phase == "warmup",
        texts=texts if keep_text else (),
    )


def _span(line: Line) -> tuple[int, int]:
    """When a request was sent and ended.

    A cancelled one is stamped when the cancel is done, and its end counted on from there: both are
    late by as long as it took. An HTTP error has no length, but where the trace tells.
    """
    sent, ended = line.metadata.request_start_ns, line.metadata.request_end_ns
    if line.metadata.was_cancelled:
        return 2 * sent - ended, sent
    if line.error is not None and line.trace_data is not None:
        ended = max(ended, line.trace_data.response_receive_end_ns or ended)
    return sent, ended


def _asked(metrics: _Metrics, raw: RawLine | None) -> int | None:
    """From the request itself, else from how far its length is off, as the tool counts."""
    if raw is not None:
        return raw.payload.max_completion_tokens or raw.payload.max_tokens
    own, off = _count(metrics.output_sequence_length), metrics.osl_mismatch_diff_pct.value
    if own is None or not isinstance(off, float) or off <= -100:
        return None
    return round(own / (1 + off / 100))


def _chunks(raw: RawLine) -> list[tuple[int, str]]:
    """Each chunk that has content: when it came (epoch ns), and its text."""
    shift = raw.metadata.request_start_ns - raw.start_perf_ns
    found = []
    for response in raw.responses:
        for packet in response.packets:
            if text := _content(packet.value or ""):
                found.append((response.perf_ns + shift, text))
    return found


def _content(value: str) -> str:
    """The text of one server-sent event; empty where it has none, or is no chunk."""
    try:
        choices = _chunk.decode(value).choices
    except (msgspec.MsgspecError, RecursionError):
        return ""
    parts = [
        part
        for one in choices
        for part in (
            one.text,
            one.delta and one.delta.content,
            one.delta and one.delta.reasoning_content,
        )
    ]
    return "".join(part for part in parts if part)


def _of_raw(raw: RawLine, keep_text: bool) -> Told:
    """A request that the plain file does not have."""
    chunks = _chunks(raw)
    meta = raw.metadata
    sent, ended = _span(Line(meta, _Metrics(), raw.error))
    return Told(
        sent,
        max(ended, chunks[-1][0] if chunks else ended),
        meta.credit_issued_ns,
        [time for time, _ in chunks],
        asked=raw.payload.max_completion_tokens or raw.payload.max_tokens,
        end="cancelled" if meta.was_cancelled else "failed" if raw.error else "done",
        error=str(raw.error or ""),
        warmup=meta.benchmark_phase == "warmup",
        texts=[text for _, text in chunks] if keep_text else (),
    )


def _figures(summary: _Summary) -> dict[str, float]:
    """By AIPerf's words: its ITL is one mean a request, its ICL the gaps."""
    told: dict[str, float | None] = {
        "completed": summary.request_count.avg,
        "failed": summary.error_request_count.avg,
        "output_tokens": summary.total_output_tokens.avg,
        "duration_s": summary.benchmark_duration.avg,
        "output_tok_s": summary.output_token_throughput.avg,
        "request_s": summary.request_throughput.avg,
    }
    for name, one in (
        ("ttft_s", summary.time_to_first_token),
        ("itl_s", summary.inter_token_latency),
        ("icl_s", summary.inter_chunk_latency),
        ("e2e_s", summary.request_latency),
    ):
        told |= one.named(name, UNITS.get(one.unit, 0.0) / SECOND)
    return spread(told)


def _notes(told: Iterable[Line], raw: dict[str, RawLine], requests: list[Told]) -> list[str]:
    notes = []
    done = [one for one in requests if one.end == "done" and not one.warmup]
    untold = sum(one.by == "estimate" for one in done if one.tokens is not None)
    if untold:
        notes.append(
            f"{untold} of {len(done)} successes have no usage from the server: AIPerf counts an "
            "error event in a stream as success; their tokens are its own count"
        )
    short = sum(
        one.asked is not None and one.tokens is not None and one.tokens < one.asked for one in done
    )
    if short:
        notes.append(f"{short} of {len(done)} successes have fewer tokens than asked")
    if any(one.end == "cancelled" for one in requests):
        kept = "" if raw else "; their chunks before that are not in the file"
        notes.append(f"times of cancelled requests are repaired: AIPerf stamps them late{kept}")
    if any(one.end == "failed" and one.ended == one.sent for one in requests):
        notes.append("HTTP errors have no length in the file: how long they took is not known")
    lost = not raw and any(one.end == "failed" and one.ended > one.sent for one in requests)
    if lost:
        notes.append("chunks of requests that failed in mid-stream are in the raw export only")
    if any(
        (own := _count(line.metrics.output_sequence_length)) is not None
        and (usage := _count(line.metrics.usage_completion_tokens)) is not None
        and own != usage
        for line in told
    ):
        notes.append(
            "AIPerf's own figures use its count of tokens (text tokenised again), "
            "not the server's, which is what counts here"
        )
    if any(one.tokens not in (None, len(one.chunks)) for one in done):
        notes.append("chunks and tokens differ in number: tokens are spread evenly over chunks")
    return notes
