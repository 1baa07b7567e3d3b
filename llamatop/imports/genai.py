"""genai-bench: a JSON file a run, with durations of each request and no times: a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.imports.headlines import Percentiles, spread
from llamatop.imports.reading import decoded
from llamatop.imports.reading import read as read_bytes
from llamatop.recording.tables import Row, Table

SCALES = {"s": 1.0, "ms": 1e-3}

_NEARLY = 0.02
"""A stream whose first token comes at so small a share before its end was read in one go."""


class _Stats(msgspec.Struct, frozen=True):
    ttft: Percentiles = Percentiles()
    tpot: Percentiles = Percentiles()
    e2e_latency: Percentiles = Percentiles()


class _Aggregated(msgspec.Struct, frozen=True):
    scenario: str = ""
    num_concurrency: int | None = None
    num_error_requests: int | None = None
    num_completed_requests: int | None = None
    num_requests: int | None = None
    mean_output_throughput_tokens_per_s: float | None = None
    requests_per_second: float | None = None
    error_rate: float | None = None
    stats: _Stats = _Stats()


class _One(msgspec.Struct, frozen=True):
    ttft: float | None = None
    tpot: float | None = None
    e2e_latency: float | None = None
    num_output_tokens: float | None = None
    error_code: int | None = None


class _File(msgspec.Struct, frozen=True):
    aggregated_metrics: _Aggregated
    individual_request_metrics: list[_One]
    time_unit: str | None = msgspec.field(default=None, name="_time_unit")


class _Meta(msgspec.Struct, frozen=True):
    benchmark_version: str | None = None
    api_model_name: str | None = None


def read(path: Path, files: Iterable[Path]) -> Table:
    """A row a run file; InputError where one is not what it seems."""
    runs = sorted(files, key=lambda file: file.name)
    found = [(file, decoded(read_bytes(file), _File, file)) for file in runs]
    beside = runs[0].with_name("experiment_metadata.json")
    meta = decoded(read_bytes(beside), _Meta, beside) if beside.is_file() else _Meta()
    rows = [_row(file, one) for file, one in found]
    notes = ["a request has durations and no time: there is no timeline",
             "its throughput and percentiles are genai-bench's own"]  # fmt: skip
    errors = sum(one.aggregated_metrics.num_error_requests or 0 for _, one in found)
    if errors and all(not one.aggregated_metrics.error_rate for _, one in found):
        notes.append(f"it says an error rate of 0, and {errors} requests failed")
    at_once = sum(_in_one_go(request) for _, one in found
                  for request in one.individual_request_metrics)  # fmt: skip
    if at_once:
        notes.append(f"{at_once} streams were read in one go: their TTFT is nearly the whole E2E")
    return Table(tool="genai-bench", file=path.name, rows=rows, notes=notes,
                 version=meta.benchmark_version, model=meta.api_model_name)  # fmt: skip


def _row(file: Path, one: _File) -> Row:
    if one.time_unit not in SCALES:
        raise InputError(f"{file.name}: its unit of time is {one.time_unit!r}, not s or ms")
    scale, own = SCALES[one.time_unit], one.aggregated_metrics
    stats = own.stats
    told: dict[str, float | None] = {
        "output_tok_s": own.mean_output_throughput_tokens_per_s,
        "request_s": own.requests_per_second,
        **stats.ttft.named("ttft_s", scale),
        **stats.tpot.named("tpot_s", scale),
        **stats.e2e_latency.named("e2e_s", scale),
    }
    good = [one for one in one.individual_request_metrics if one.error_code is None]
    samples = {
        f"{name}_s": [value * scale for each in good if (value := getattr(each, field)) is not None]
        for name, field in (("ttft", "ttft"), ("tpot", "tpot"), ("e2e", "e2e_latency"))
    }
    name = f"{own.scenario} at concurrency {own.num_concurrency}"
    return Row(
        name=name, concurrency=own.num_concurrency or 1, figures=spread(told), samples=samples,
        requests=own.num_requests, completed=own.num_completed_requests,
        failed=own.num_error_requests,
    )  # fmt: skip


def _in_one_go(one: _One) -> bool:
    if one.ttft is None or not one.e2e_latency or (one.num_output_tokens or 0) < 2:
        return False
    return one.e2e_latency - one.ttft < _NEARLY * one.e2e_latency
