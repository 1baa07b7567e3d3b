"""inference-perf's `per_request_lifecycle_metrics.json`, with what lies beside it.

Times are `perf_counter` (monotonic, seconds). A stage is told of no request: they follow one
another, so each takes as many requests, by their start, as its own file counts.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import yaml

from llamatop.errors import InputError
from llamatop.imports.headlines import Percentiles, spread
from llamatop.imports.reading import decoded
from llamatop.imports.reading import read as read_bytes
from llamatop.imports.told import Run, Stretch, Told, count, seconds

_CONFIG_BYTES = 1 << 20


class _Failure(msgspec.Struct, frozen=True):
    error_type: str = ""
    error_msg: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None


class _Answer(msgspec.Struct, frozen=True):
    output_tokens: float | None = None
    server_usage: _Usage | None = None
    chunk_times: list[float] | None = None
    response_chunks: msgspec.Raw = msgspec.Raw(b"[]")


class _Text(msgspec.Struct, frozen=True):
    input_tokens: float | None = None


class _Asked(msgspec.Struct, frozen=True):
    text: _Text | None = None


class _Info(msgspec.Struct, frozen=True):
    request_metrics: _Asked | None = None
    response_metrics: _Answer | None = None


class _Request(msgspec.Struct, frozen=True):
    start_time: float
    end_time: float
    info: _Info
    request: str | None = None
    error: _Failure | None = None


class _Load(msgspec.Struct, frozen=True):
    count: int = 0


class _Latency(msgspec.Struct, frozen=True):
    request_latency: Percentiles | None = None
    time_to_first_token: Percentiles | None = None
    time_per_output_token: Percentiles | None = None
    inter_token_latency: Percentiles | None = None


class _Rates(msgspec.Struct, frozen=True):
    output_tokens_per_sec: float | None = None
    requests_per_sec: float | None = None


class _Tokens(msgspec.Struct, frozen=True):
    total: float | None = None


class _Successes(msgspec.Struct, frozen=True):
    count: float | None = None
    latency: _Latency | None = None
    throughput: _Rates | None = None
    output_tokens: _Tokens | None = None


class _Failures(msgspec.Struct, frozen=True):
    count: float | None = None


class _Stage(msgspec.Struct, frozen=True):
    benchmark_time_seconds: float | None = None
    load_summary: _Load = _Load()
    successes: _Successes = _Successes()
    failures: _Failures = _Failures()


class _Choice(msgspec.Struct, frozen=True):
    text: str | None = None
    delta: dict[str, object] | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_Choice] = []


_LENGTH = re.compile(r'"max_(?:completion_)?tokens"\s*:\s*(\d{1,9})\b')
_MODEL = re.compile(r'^\s*\{\s*"model"\s*:\s*"([^"\\]{1,256})"')


def read(path: Path, data: bytes, keep_text: bool = False) -> Run:
    """The run; InputError where the file is not what it seems."""
    found = decoded(data, list[_Request], path)
    requests = sorted((_told(one, path, keep_text) for one in found), key=lambda one: one.sent)
    stages = _stages(path.parent)
    at_once = _concurrencies(path.parent / "config.yaml")
    model = next((m[1] for one in found if (m := _MODEL.match(one.request or ""))), None)
    return Run(
        "inference-perf", "inference-perf", path.name,
        "times are the client's monotonic clock, without a date",
        _levels(requests, stages, at_once), None, model, notes=_notes(found, requests),
    )  # fmt: skip


def _told(one: _Request, path: Path, keep_text: bool) -> Told:
    answer = one.info.response_metrics or _Answer()
    asked = one.info.request_metrics
    prompt = count(asked.text.input_tokens) if asked and asked.text else None
    usage = count(answer.server_usage.completion_tokens) if answer.server_usage else None
    own = count(answer.output_tokens)
    length = _LENGTH.search(one.request or "")
    chunks = [seconds(time, "chunk_times") for time in answer.chunk_times or ()]
    texts = decoded(answer.response_chunks, list[str], path) if keep_text else []
    return Told(
        seconds(one.start_time, "start_time"),
        seconds(one.end_time, "end_time"),
        chunks=chunks,
        tokens=own if usage is None else usage,
        by="estimate" if usage is None else "usage",
        prompt=prompt or None,
        asked=int(length[1]) if length else None,
        end="failed" if one.error else "done",
        error=f"{one.error.error_type}: {one.error.error_msg or ''}" if one.error else "",
        texts=[_text(text) for text in texts],
    )


def _text(chunk: str) -> str:
    """What a chunk says."""
    try:
        choices = msgspec.json.decode(chunk, type=_Chunk).choices
    except (msgspec.MsgspecError, RecursionError):
        return ""
    said = (one.text or (one.delta or {}).get("content") for one in choices)
    return "".join(part for part in said if isinstance(part, str))


def _stages(folder: Path) -> list[_Stage]:
    """What each stage's file says, in order."""
    found = sorted(
        (int(match[1]), file)
        for file in folder.glob("stage_*_lifecycle_metrics.json")
        if (match := re.fullmatch(r"stage_(\d{1,6})_lifecycle_metrics\.json", file.name))
    )
    return [decoded(read_bytes(file), _Stage, file) for _, file in found]


def _concurrencies(config: Path) -> list[int | None]:
    """Of each stage, as `config.yaml` asks; empty where there is none that can be read."""
    if not config.is_file() or config.stat().st_size > _CONFIG_BYTES:
        return []
    try:
        asked = yaml.load(read_bytes(config), Loader=yaml.CSafeLoader)
        stages = asked["load"]["stages"]
        return [_whole(one.get("concurrency_level")) for one in stages]
    except (yaml.YAMLError, InputError, KeyError, TypeError, AttributeError, ValueError):
        return []
    except RecursionError:
        return []


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value < 2**31 else None


def _levels(requests: list[Told], stages: list[_Stage], at_once: list[int | None]) -> list[Stretch]:
    """The requests of each stage, where their files count as many as there are."""
    counts = [stage.load_summary.count for stage in stages]
    if not counts or sum(counts) != len(requests):
        only = at_once[0] if len(at_once) == 1 else None
        figures = _figures(stages[0]) if len(stages) == 1 else {}
        return [Stretch(requests, only, figures)]
    levels, start = [], 0
    for place, (stage, size) in enumerate(zip(stages, counts, strict=True)):
        asked = at_once[place] if place < len(at_once) else None
        levels.append(Stretch(requests[start : start + size], asked, _figures(stage)))
        start += size
    return levels


def _figures(stage: _Stage) -> dict[str, float]:
    """By inference-perf's words: its TPOT and ITL are of tokens that it tokenised again."""
    won = stage.successes
    rates, latency = won.throughput or _Rates(), won.latency or _Latency()
    told: dict[str, float | None] = {
        "completed": won.count,
        "failed": stage.failures.count,
        "output_tokens": won.output_tokens.total if won.output_tokens else None,
        "duration_s": stage.benchmark_time_seconds,
        "output_tok_s": rates.output_tokens_per_sec,
        "request_s": rates.requests_per_sec,
    }
    for name, one in (
        ("ttft_s", latency.time_to_first_token),
        ("tpot_s", latency.time_per_output_token),
        ("itl_s", latency.inter_token_latency),
        ("e2e_s", latency.request_latency),
    ):
        told |= one.named(name) if one else {}
    return spread(told)


def _notes(found: list[_Request], requests: list[Told]) -> list[str]:
    notes = ["a request that inference-perf could not make is in none of its files"]
    done = [one for one in requests if one.end == "done"]
    short = sum(
        one.asked is not None and one.tokens is not None and one.tokens < one.asked for one in done
    )
    if short:
        notes.append(
            f"{short} of {len(done)} successes have fewer tokens than asked: inference-perf counts "
            "an error event in a stream as success"
        )
    if untold := sum(one.by == "estimate" and one.tokens is not None for one in done):
        notes.append(f"{untold} successes have no usage from the server: its own count is taken")
    if any(one.end == "failed" for one in requests):
        notes.append("chunks and prompts of failed requests are not in the file")
    if any(one.tokens not in (None, len(one.chunks)) for one in done):
        notes.append("chunks and tokens differ in number: tokens are spread evenly over chunks")
    return notes
