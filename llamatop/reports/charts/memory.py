"""Charts of memory over concurrency: measured, and beside what was predicted."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.levels import LevelFigures
from llamatop.reports.charts.levels import (
    Limit,
    Line,
    NewSheet,
    Value,
    drawn_sheet,
    known,
    line_of,
    named,
    runs_legend,
)
from llamatop.reports.charts.paper import Sheet, Style
from llamatop.reports.charts.ticks import byte_unit
from llamatop.reports.runs import Run, labels


def memory(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Peak memory of the engine's device, or of its process where it has none."""
    value, what = _memory_of(runs)
    sheet = new("Memory vs concurrency", f"peak memory of {what}")
    lines = [
        line_of(run, label, sheet.style(place), value)
        for place, (run, label) in enumerate(zip(runs, labels(runs), strict=True))
    ]
    if not any(line.points for line in lines):
        return "not measured"
    return drawn_sheet(sheet, runs, lines, _bytes, limit=_cliff(runs), bad_at=value)


def predicted(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Predicted beside measured peaks, the memory there is, and where it ended."""
    measured, what = _memory_of(runs)
    on_device = any(_on_device(run) for run in runs)
    sheet = new("Predicted vs measured memory", f"peak memory of {what}")
    lines = []
    for place, (run, label) in enumerate(zip(runs, labels(runs), strict=True)):
        style = sheet.style(place)
        guess = [(f.concurrency, _guess(f, on_device)) for f in run.figures]
        lines.append(Line(named(label, "predicted"), known(guess), _dotted(style), hollow=True))
        lines.append(line_of(run, named(label, "measured"), style, measured))
    if not any(line.points for line in lines[::2]):
        return "no level has a prediction"
    if len(runs) > 1:
        runs_legend(sheet, runs)
        look = {"color": sheet.theme.ink, "linewidth": 2.0, "marker": "o"}
        sheet.legend("measured", **look, markersize=6)
        sheet.legend("predicted", **look, markersize=9, markerfacecolor="none", linestyle=_DOTS)
    limit = _cliff(runs) or _there_is(runs, on_device)
    return drawn_sheet(
        sheet, runs, lines, _bytes, limit=limit, bad_at=measured, legend=len(runs) == 1
    )


_DOTS = (0, (2, 2))


def _dotted(style: Style) -> Style:
    return Style(style.color, _DOTS, style.marker)


def _on_device(run: Run) -> bool:
    return any(figures.device_peak_bytes is not None for figures in run.figures)


def _memory_of(runs: Sequence[Run]) -> tuple[Value, str]:
    if any(_on_device(run) for run in runs):
        return lambda figures: figures.device_peak_bytes, "the accelerator, as the engine holds it"
    return lambda figures: figures.host_peak_bytes, "the engine's process, runtime included"


def _guess(figures: LevelFigures, on_device: bool) -> float | None:
    return figures.predicted_device_bytes if on_device else figures.predicted_host_bytes


def _cliff(runs: Sequence[Run]) -> Limit | None:
    """Where memory had to end: all of a device, or what an engine on a CPU allowed itself.

    None where it was not looked for, or the runs differ.
    """
    if any(_on_device(run) for run in runs):
        ended = any(figures.outcome == "oom" for run in runs for figures in run.figures)
        return _there_is(runs, on_device=True) if ended else None
    limits = {run.session.model.memory_limit for run in runs if run.session.model is not None}
    limit = limits.pop() if len(limits) == 1 else None
    return None if limit is None else Limit("memory limit", float(limit))


def _there_is(runs: Sequence[Run], on_device: bool) -> Limit | None:
    """The memory of the one machine all runs share; None where they differ or it is far away."""
    totals = {
        sample.total_bytes
        for run in runs
        for samples in ([*run.session.devices.values()] if on_device else [run.session.host])
        for sample in samples[-1:]
    }
    total = totals.pop() if len(totals) == 1 else None
    used = max((v for run in runs for f in run.figures for v in _peaks(f, on_device)), default=0)
    if total is None or total >= 4 * used:
        return None
    return Limit("memory there is", float(total))


def _peaks(figures: LevelFigures, on_device: bool) -> list[float]:
    measured = figures.device_peak_bytes if on_device else figures.host_peak_bytes
    return [value for value in (measured, _guess(figures, on_device)) if value is not None]


def _bytes(values: Sequence[float]) -> tuple[str, float]:
    unit, one = byte_unit(values)
    return f"peak memory ({unit})", one
