"""guidellm's JSON: a benchmark a level; of a request's tokens only first and last are timed.

Times are the time of day in seconds. Warm-up and cool-down requests are in its lists unmarked: they
lie wholly outside of the benchmark's own start and end.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from llamatop.imports.headlines import Percentiles, spread
from llamatop.imports.reading import decoded
from llamatop.imports.told import End, Run, Stretch, Told, count, seconds, utc


class _Timings(msgspec.Struct, frozen=True):
    targeted_start: float | None = None
    request_start: float | None = None
    first_token_iteration: float | None = None
    last_token_iteration: float | None = None
    token_iterations: float | None = None
    request_end: float | None = None
    resolve_start: float | None = None
    resolve_end: float | None = None


class _Info(msgspec.Struct, frozen=True):
    timings: _Timings
    error: str | None = None


class _Request(msgspec.Struct, frozen=True):
    info: _Info
    request_args: str | None = None
    output: str | None = None
    prompt_tokens: float | None = None
    cached_tokens: float | None = None
    output_tokens: float | None = None


class _Requests(msgspec.Struct, frozen=True):
    successful: list[_Request] | None = None
    errored: list[_Request] | None = None
    incomplete: list[_Request] | None = None


class _Spread(msgspec.Struct, frozen=True):
    mean: float | None = None
    median: float | None = None
    count: float | None = None
    total_sum: float | None = None
    percentiles: Percentiles = Percentiles()


class _Metric(msgspec.Struct, frozen=True):
    successful: _Spread | None = None


class _Metrics(msgspec.Struct, frozen=True):
    requests_per_second: _Metric = _Metric()
    output_tokens_per_second: _Metric = _Metric()
    request_latency: _Metric = _Metric()
    time_to_first_token_ms: _Metric = _Metric()
    time_per_output_token_ms: _Metric = _Metric()
    inter_token_latency_ms: _Metric = _Metric()
    output_token_count: _Metric = _Metric()


class _Strategy(msgspec.Struct, frozen=True):
    type_: str = ""
    streams: int | None = None
    rate: float | None = None


class _Config(msgspec.Struct, frozen=True):
    strategy: _Strategy = _Strategy()


class _Benchmark(msgspec.Struct, frozen=True):
    requests: _Requests
    config: _Config = _Config()
    metrics: _Metrics = _Metrics()
    start_time: float | None = None
    end_time: float | None = None


class _Backend(msgspec.Struct, frozen=True):
    model: str | None = None


class _Spec(msgspec.Struct, frozen=True):
    backend: _Backend | None = None


class _Asked(msgspec.Struct, frozen=True):
    spec: _Spec | None = None


class _Meta(msgspec.Struct, frozen=True):
    guidellm_version: str | None = None


class _File(msgspec.Struct, frozen=True):
    benchmarks: list[_Benchmark]
    metadata: _Meta = _Meta()
    config: _Asked = _Asked()


_LENGTH = re.compile(r'"max_(?:completion_)?tokens"\s*:\s*(\d{1,9})\b')
_LISTS: tuple[tuple[str, End], ...] = (
    ("successful", "done"),
    ("errored", "failed"),
    ("incomplete", "cancelled"),
)


def read(path: Path, data: bytes, keep_text: bool = False) -> Run:
    """The run; InputError where the file is not what it seems."""
    found = decoded(data, _File, path)
    levels = [_level(one, keep_text) for one in found.benchmarks]
    requests = [one for level in levels for one in level.requests]
    first = min((one.sent for one in requests), default=0)
    rates = [one.config.strategy.rate for one in found.benchmarks]
    spec = found.config.spec
    return Run(
        "guidellm", "guidellm", path.name, "times are the time of day, as floating seconds",
        levels, found.metadata.guidellm_version,
        spec.backend.model if spec and spec.backend else None,
        utc(first),
        rates[0] if len(set(rates)) == 1 else None, _notes(found, requests),
    )  # fmt: skip


def _level(one: _Benchmark, keep_text: bool) -> Stretch:
    requests = [
        _told(request, end, one, keep_text)
        for name, end in _LISTS
        for request in getattr(one.requests, name) or ()
    ]
    return Stretch(requests, one.config.strategy.streams, _figures(one))


def _told(request: _Request, end: End, within: _Benchmark, keep_text: bool) -> Told:
    times, tokens = request.info.timings, count(request.output_tokens)
    sent = times.request_start or times.resolve_start
    begun = seconds(sent, "request_start")
    over = seconds(times.request_end or times.resolve_end or sent, "request_end")
    first, last = times.first_token_iteration, times.last_token_iteration
    known = tokens if end == "done" else count(times.token_iterations)
    told = Told(
        begun,
        over,
        seconds(times.targeted_start or sent, "targeted_start"),
        prompt=None if end == "failed" and first is None else count(request.prompt_tokens),
        cached=count(request.cached_tokens),
        asked=_asked(request),
        end=end,
        error=request.info.error or "",
        warmup=_outside(begun, over, within),
        texts=[request.output] if keep_text and request.output else (),
    )
    if first is not None and last is not None:
        told.chunks = [seconds(first, "first token")]
        told.ended = max(over, seconds(last, "last token"))
        if known != 1:
            told.rest_at = max(told.chunks[0], seconds(last, "last token"))
            told.rest = None if not known else known - 1
    return told


def _outside(begun: int, over: int, within: _Benchmark) -> bool:
    """Whether it was over before the benchmark's own window, or began after."""
    start, end = within.start_time, within.end_time
    early = start is not None and over < seconds(start, "start_time")
    return early or (end is not None and begun >= seconds(end, "end_time"))


def _asked(request: _Request) -> int | None:
    found = _LENGTH.search(request.request_args or "")
    return int(found[1]) if found else None


def _figures(one: _Benchmark) -> dict[str, float]:
    """By guidellm's words: its ITL is one mean a request, its TPOT counts the first token too."""
    metrics = one.metrics
    latency = metrics.request_latency.successful or _Spread()
    tokens = metrics.output_token_count.successful or _Spread()
    rate = metrics.requests_per_second.successful or _Spread()
    output = metrics.output_tokens_per_second.successful or _Spread()
    told: dict[str, float | None] = {
        "completed": latency.count,
        "output_tokens": tokens.total_sum,
        "output_tok_s": output.mean,
        "request_s": rate.mean,
        **_named("e2e_s", metrics.request_latency, 1.0),
        **_named("ttft_s", metrics.time_to_first_token_ms, 1e-3),
        **_named("tpot_s", metrics.time_per_output_token_ms, 1e-3),
        **_named("itl_s", metrics.inter_token_latency_ms, 1e-3),
    }
    return spread(told)


def _named(name: str, metric: _Metric, scale: float) -> dict[str, float | None]:
    found = metric.successful
    if found is None or not found.count:
        return {}
    return {
        **found.percentiles.named(name, scale),
        f"{name}.mean": None if found.mean is None else found.mean * scale,
        f"{name}.p50": None if found.median is None else found.median * scale,
    }


def _notes(found: _File, requests: list[Told]) -> list[str]:
    notes = ["times between a request's first and last token are not in the file: it has no ITL"]
    if apart := sum(one.warmup for one in requests):
        notes.append(
            f"{apart} requests lie outside of the benchmark's own window: warm-up and cool-down, "
            "which the file does not mark"
        )
    cut = any(
        one.sent < seconds(within.start_time, "start_time") <= one.ended
        for within in found.benchmarks
        if within.start_time is not None
        for one in requests
    )
    if cut and apart:
        notes.append(
            "guidellm counts a figure of a request where its moment lies in that window, "
            "llamatop the whole request"
        )
    if any(one.end == "failed" and one.chunks for one in requests):
        notes.append("tokens of requests that failed in mid-stream are counted in chunks")
    return notes
