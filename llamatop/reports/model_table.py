"""Models side by side, from their recordings: what each needs, what it gives, what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamatop.reports.knee import usable
from llamatop.reports.runs import Run, labels
from llamatop.text.formatting import count, duration, number, size


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model of the table: what it needs and what it gives at its best level."""

    run: str
    model: str
    parameters: int | None
    weights_bytes: int | None
    memory_bytes: int | None
    concurrency: int
    output_rate: float | None
    ttft: float | None
    """Median, seconds."""
    use: str
    label: str
    """The model, and what sets this run apart where another has the same."""


def model_table(runs: Sequence[Run]) -> list[ModelRow]:
    """Each run at its level with the most tokens per second, and what it is good for."""
    models = [run.model for run in runs]
    told = [
        label if models.count(run.model) > 1 else run.model
        for run, label in zip(runs, labels(runs), strict=True)
    ]
    rows = [row for run, name in zip(runs, told, strict=True) if (row := _row(run, name))]
    if len(rows) < 2:
        return rows
    return [_with_use(row, rows) for row in rows]


def _row(run: Run, label: str) -> ModelRow | None:
    good = [figures for figures in run.figures if usable(figures)]
    if not good:
        return None
    best = max(good, key=lambda figures: figures.output_rate or 0)
    quick = min((f.ttft.p50 for f in good if f.ttft), default=None)
    model = run.session.model
    return ModelRow(
        run.name,
        run.model,
        model.parameters if model else None,
        model.weights_bytes if model else None,
        best.device_peak_bytes or best.host_peak_bytes,
        best.concurrency,
        best.output_rate,
        quick,
        "",
        label,
    )


def _with_use(row: ModelRow, rows: Sequence[ModelRow]) -> ModelRow:
    """A row with what it does best among all."""
    uses = []
    if row.output_rate == max(one.output_rate or 0 for one in rows):
        uses.append("batch work: the most tokens/s")
    quickest = min((one.ttft for one in rows if one.ttft is not None), default=None)
    if row.ttft is not None and row.ttft == quickest:
        uses.append("chat: the quickest first token")
    least = min((one.memory_bytes for one in rows if one.memory_bytes is not None), default=None)
    if row.memory_bytes is not None and row.memory_bytes == least:
        uses.append("small machines: the least memory")
    most = max((one.parameters for one in rows if one.parameters is not None), default=None)
    if row.parameters is not None and row.parameters == most:
        uses.append("hard tasks: the most parameters")
    return replace(row, use="; ".join(uses) or "none of these better than the others")


def model_cells(row: ModelRow) -> list[str]:
    """A row of the table as texts: model, size, memory, throughput, first token, use."""
    return [
        row.label,
        f"{count(row.parameters)} ({size(row.weights_bytes)})",
        size(row.memory_bytes),
        f"{number(row.output_rate)} tok/s at {row.concurrency}",
        duration(row.ttft),
        row.use,
    ]


MODEL_HEAD = ["model", "parameters (size)", "peak memory", "throughput", "first token", "use"]
