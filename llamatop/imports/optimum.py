"""optimum-benchmark's `benchmark.json` or `benchmark_report.json`: one row."""

from __future__ import annotations

from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.imports.headlines import spread
from llamatop.imports.reading import decoded
from llamatop.recording.tables import Row, Table

_MEGABYTE = 1_000_000


class _Memory(msgspec.Struct, frozen=True):
    unit: str = ""
    max_ram: float | None = None
    max_allocated: float | None = None


class _Latency(msgspec.Struct, frozen=True):
    unit: str = ""
    values: list[float] = []
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


class _Throughput(msgspec.Struct, frozen=True):
    value: float | None = None


class _Part(msgspec.Struct, frozen=True):
    memory: _Memory | None = None
    latency: _Latency | None = None
    throughput: _Throughput | None = None


class _Shapes(msgspec.Struct, frozen=True):
    batch_size: int | None = None


class _Scenario(msgspec.Struct, frozen=True):
    input_shapes: _Shapes | None = None


class _Backend(msgspec.Struct, frozen=True):
    model: str | None = None


class _Environment(msgspec.Struct, frozen=True):
    optimum_benchmark_version: str | None = None


class _Config(msgspec.Struct, frozen=True):
    backend: _Backend | None = None
    scenario: _Scenario | None = None
    environment: _Environment | None = None


class _File(msgspec.Struct, frozen=True):
    report: dict[str, _Part | None] | None = None
    config: _Config = _Config()


def read(path: Path, data: bytes) -> Table:
    """The row; InputError where the file is not what it seems."""
    found = decoded(data, _File, path)
    parts = found.report
    if parts is None:
        parts = decoded(data, dict[str, _Part | None], path)
    shapes = found.config.scenario.input_shapes if found.config.scenario else None
    batch = shapes.batch_size if shapes else None
    told: dict[str, float | None] = {}
    samples: dict[str, list[float]] = {}
    for part, name in (("prefill", "ttft_s"), ("generate", "e2e_s")):
        latency = _latency(parts.get(part))
        if latency is not None:
            samples[name] = latency.values
            for figure in ("mean", "p50", "p90", "p99"):
                told[f"{name}.{figure}"] = getattr(latency, figure)
    told["output_tok_s"] = _rate(parts.get("generate"))
    told["decode_tok_s"] = _rate(parts.get("decode"))
    ram = [one.memory.max_ram for one in parts.values() if one and one.memory]
    told["peak_memory.host_bytes"] = max((m * _MEGABYTE for m in ram if m), default=None)
    if not spread(told):
        raise InputError(f"{path.name}: holds none of its figures")
    notes = [
        "its generate throughput says samples/s and is tokens/s, without each first token",
        "its per-token latencies repeat earlier runs and hold the time between runs: left out",
        *(["its batch size is not in this file: taken as 1"] if batch is None else []),
    ]
    config = found.config
    return Table(
        tool="optimum-benchmark", file=path.name, notes=notes,
        rows=[Row(name=f"batch {batch or 'unknown'}", concurrency=batch or 1,
                  figures=spread(told), samples=samples)],
        version=config.environment.optimum_benchmark_version if config.environment else None,
        model=(config.backend.model or None) if config.backend else None,
    )  # fmt: skip


def _latency(part: _Part | None) -> _Latency | None:
    return part.latency if part and part.latency and part.latency.unit == "s" else None


def _rate(part: _Part | None) -> float | None:
    return part.throughput.value if part and part.throughput else None
