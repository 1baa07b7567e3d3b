"""llama-benchy's JSON: a row a benchmark; its times of tokens are interpolated and left out."""

from __future__ import annotations

from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.figures.stats import distribution
from llamatop.imports.headlines import spread
from llamatop.imports.reading import decoded
from llamatop.recording.tables import Row, Table


class _Metric(msgspec.Struct, frozen=True):
    mean: float | None = None
    values: list[float] = []


class _Benchmark(msgspec.Struct, frozen=True):
    concurrency: int
    context_size: int | None = None
    prompt_size: int | None = None
    response_size: int | None = None
    is_context_prefill_phase: bool = False
    pp_throughput: _Metric | None = None
    tg_throughput: _Metric | None = None
    e2e_ttft: _Metric | None = None


class _File(msgspec.Struct, frozen=True):
    benchmarks: list[_Benchmark]
    version: str | None = None
    model: str | None = None


def read(path: Path, data: bytes) -> Table:
    """The rows; InputError where the file is not what it seems."""
    found = decoded(data, _File, path)
    if not found.benchmarks:
        raise InputError(f"{path.name}: holds no benchmark")
    rows = [_row(one) for one in found.benchmarks]
    notes = [
        "failed requests are dropped from it without a word",
        "its times of tokens are interpolated: import the file of --emit-progress for a timeline",
        "its generation throughput is without the prefill: not llamatop's output throughput",
        *(
            ["some of it has no figures: all requests failed"]
            if not all(r.figures for r in rows)
            else []
        ),
    ]
    return Table(tool="llama-benchy", file=path.name, rows=rows, notes=notes,
                 version=found.version, model=found.model)  # fmt: skip


def _row(one: _Benchmark) -> Row:
    told: dict[str, float | None] = {
        "prompt_tok_s": one.pp_throughput.mean if one.pp_throughput else None,
        "decode_tok_s": one.tg_throughput.mean if one.tg_throughput else None,
    }
    first = [value / 1000 for value in one.e2e_ttft.values] if one.e2e_ttft else []
    spreads = distribution(first)
    if spreads is not None:
        told |= {f"ttft_s.{part}": getattr(spreads, part) for part in ("mean", "p50", "p90", "p99")}
    what = "context" if one.is_context_prefill_phase else "prompt"
    name = f"{what} {one.prompt_size}, {one.response_size} out, depth {one.context_size}"
    return Row(name=name, concurrency=max(one.concurrency, 1), figures=spread(told),
               samples={"ttft_s": first} if first else {})  # fmt: skip
