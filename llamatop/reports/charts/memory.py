"""Charts of memory over concurrency: measured, and beside what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llamatop.figures.levels import LevelFigures
from llamatop.reports.charts.levels import (
    HOLLOW,
    Limit,
    Line,
    NewSheet,
    Value,
    at,
    drawn_sheet,
    known,
    named,
    over,
    plan_line,
    runs_legend,
    spread_told,
)
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.plans import plans
from llamatop.reports.charts.ticks import byte_unit
from llamatop.reports.runs import Run


def memory(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Peak memory of the engine's device, or of its process where it has none."""
    kinds = plans(runs)
    sheet = new(over(runs, "Memory"), spread_told(f"peak memory of {_whose(runs)}", kinds))
    lines = [
        plan_line(plan, plan.label, sheet.style(place, len(kinds)), _measured(plan.runs[0]))
        for place, plan in enumerate(kinds)
    ]
    if not any(line.points for line in lines):
        return "not measured"
    return drawn_sheet(sheet, runs, lines, _bytes, limit=_cliff(runs), bad_at=_measured)


def predicted(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Predicted beside measured peaks, the memory there is, and where it ended."""
    kinds = plans(runs)
    told = spread_told(f"peak memory of {_whose(runs)}", kinds)
    sheet = new("Predicted vs measured memory", told)
    lines = []
    for place, plan in enumerate(kinds):
        style, label = sheet.style(place, len(kinds)), plan.label if len(kinds) > 1 else ""
        run = plan.runs[0]  # the others are foretold the same
        guess = known([(at(run, f), _guess(f, _on_device(run))) for f in run.figures])
        dotted = replace(style, line=_DOTS)
        lines.append(Line(named(label, "predicted"), guess, dotted, hollow=True))
        lines.append(plan_line(plan, named(label, "measured"), style, _measured(run)))
    if not any(line.points for line in lines[::2]):
        return "no level has a prediction"
    if len(kinds) > 1:
        runs_legend(sheet, [plan.label for plan in kinds])
        look: dict[str, Any] = {"color": sheet.theme.ink, "linewidth": 2.0, "marker": "o"}
        sheet.legend("measured", **look, markersize=6)
        sheet.legend("predicted", **look, **HOLLOW, linestyle=_DOTS)
    limit = _cliff(runs) or _there_is(runs)
    return drawn_sheet(
        sheet, runs, lines, _bytes, limit=limit, bad_at=_measured, legend=len(kinds) == 1
    )


_DOTS = (0, (2, 2))


def _on_device(run: Run) -> bool:
    return any(figures.device_peak_bytes is not None for figures in run.figures)


def _measured(run: Run) -> Value:
    if _on_device(run):
        return lambda figures: figures.device_peak_bytes
    return lambda figures: figures.host_peak_bytes


def _whose(runs: Sequence[Run]) -> str:
    """What the memory of some runs is that of."""
    on = {_on_device(run) for run in runs}
    if on == {True, False}:
        return "the accelerator, allocated by the engine; without one, of the engine's process"
    if on == {True}:
        return "the accelerator, allocated by the engine"
    return "the engine's process, runtime included"


def _guess(figures: LevelFigures, on_device: bool) -> float | None:
    return figures.predicted_device_bytes if on_device else figures.predicted_host_bytes


def _cliff(runs: Sequence[Run]) -> Limit | None:
    """Where memory had to end: all of a device, or what an engine on a CPU allowed itself.

    None where it was not looked for, or the runs differ.
    """
    if any(_on_device(run) for run in runs):
        ended = any(figures.outcome == "oom" for run in runs for figures in run.figures)
        return _there_is(runs) if ended else None
    limits = {run.session.model.memory_limit for run in runs if run.session.model is not None}
    limit = limits.pop() if len(limits) == 1 else None
    return None if limit is None else Limit("memory limit", float(limit))


def _there_is(runs: Sequence[Run]) -> Limit | None:
    """The memory of the one machine all runs share; None where they differ or it is far away."""
    totals = {
        sample.total_bytes
        for run in runs
        for samples in ([*run.session.devices.values()] if _on_device(run) else [run.session.host])
        for sample in samples[-1:]
    }
    total = totals.pop() if len(totals) == 1 else None
    used = max((v for run in runs for v in _peaks(run)), default=0)
    if total is None or total >= 4 * used:
        return None
    return Limit("memory there is", float(total))


def _peaks(run: Run) -> list[float]:
    """Every peak of a run, measured and predicted."""
    measured = _measured(run)
    found = [v for f in run.figures for v in (measured(f), _guess(f, _on_device(run)))]
    return [value for value in found if value is not None]


def _bytes(values: Sequence[float]) -> tuple[str, float]:
    unit, one = byte_unit(values)
    return f"peak memory ({unit})", one
