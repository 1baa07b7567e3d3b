"""How the gaps between tokens are spread: the ITL histogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from llamatop.formatting import duration, number
from llamatop.reports.charts.levels import NewSheet
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.ticks import from_zero, second_unit
from llamatop.reports.charts.wrap import printable
from llamatop.reports.resample import pooled_gaps
from llamatop.reports.runs import Run, labels
from llamatop.session import Level

Floats = NDArray[np.float64]

BINS = 60
MOST = 6
"""Rows that find room: levels of one run, or runs."""

WIDE = 8
"""From this ratio of the 99.5th to the 0.5th percentile on, the axis is logarithmic."""


def histogram(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Inter-token latencies: a row a level of one run, or a row a run at the level they share."""
    parts = _of_levels(runs[0]) if len(runs) == 1 else _of_runs(runs[:MOST])
    parts = [(label, gaps) for label, gaps in parts if len(gaps)]
    if not parts:
        return "no request has two tokens"
    sheet = new("Time between tokens", "inter-token latencies (ITL); lines mark p50 and p99")
    sheet.legend("p50", color=sheet.theme.ink, linestyle="-", linewidth=1.6)
    sheet.legend("p99", color=sheet.theme.ink, linestyle=(0, (4, 2)), linewidth=1.6)
    unit, one = second_unit([float(np.quantile(gaps, 0.5)) for _, gaps in parts])
    edges, doubling = _edges([gaps / one for _, gaps in parts])
    rows = sheet.axes(rows=len(parts), gap=0.24, above=0.16)
    for axes, (label, gaps) in zip(rows, parts, strict=True):
        _row(sheet, axes, gaps / one, edges)
        axes.set_title(_told(label, gaps), fontsize=9, loc="left", pad=3, color=sheet.theme.ink)
        _scale(axes, edges, doubling)
    for axes in rows[:-1]:
        axes.tick_params(labelbottom=False)
    rows[-1].set_xlabel(f"time from one token to the next ({unit}); the last bins hold the rest")
    sheet.figure.supylabel("share of gaps (%)", x=0.035, fontsize=10, color=sheet.theme.ink)
    return sheet


def _row(sheet: Sheet, axes: Axes, values: Floats, edges: Floats) -> None:
    """One histogram with its marks."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares = counts * 100 / len(values)
    color = sheet.theme.series[0]
    axes.stairs(shares, edges, color=color, fill=True, alpha=0.35)
    axes.stairs(shares, edges, color=color, linewidth=1.2)
    for percent, line in ((50, "-"), (99, (0, (4, 2)))):
        at = float(np.percentile(values, percent))
        axes.axvline(at, color=sheet.theme.ink, linestyle=line, linewidth=1.6)
    from_zero(axes, float(shares.max()))
    axes.yaxis.set_major_locator(MaxNLocator(2))


def _scale(axes: Axes, edges: Floats, doubling: bool) -> None:
    """The axis of time, the same in every row."""
    if doubling:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 1)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(float(edges[0]), float(edges[-1]))


def _told(label: str, gaps: Floats) -> str:
    low, high = np.quantile(gaps, [0.5, 0.99])
    return f"{printable(label)}: p50 {duration(float(low))}, p99 {duration(float(high))}"


def _of_levels(run: Run) -> list[tuple[str, Floats]]:
    """At most `MOST` levels with gaps, first and last among them."""
    found = [(f"C={level.concurrency}", gaps(level)) for level in run.session.levels.values()]
    found = [part for part in found if len(part[1])]
    places = np.unique(np.linspace(0, len(found) - 1, min(MOST, len(found))).round().astype(int))
    return [found[place] for place in places]


def _of_runs(runs: Sequence[Run]) -> list[tuple[str, Floats]]:
    """Each run at the highest concurrency that all of them ran, else at its own highest."""
    shared = set.intersection(*(_with_gaps(run) for run in runs))
    parts = []
    for run, label in zip(runs, labels(runs), strict=True):
        wanted = max(shared or _with_gaps(run), default=0)
        levels = [level for level in run.session.levels.values() if level.concurrency == wanted]
        parts.append((f"{label}, C={wanted}", gaps(levels[-1]) if levels else np.empty(0)))
    return parts


def _with_gaps(run: Run) -> set[int]:
    """The concurrencies at which a request of two tokens completed."""
    levels = run.session.levels.values()
    return {
        level.concurrency
        for level in levels
        if any(one.state == "done" and one.tokens > 1 for one in level.requests)
    }


def gaps(level: Level) -> Floats:
    """All inter-token latencies of a level's completed requests, in seconds."""
    every, _ = pooled_gaps([request for request in level.requests if request.state == "done"])
    return every[every >= 0]


def _edges(parts: list[Floats]) -> tuple[Floats, bool]:
    """Edges of the bins, and whether they stand on a logarithmic axis."""
    every = np.concatenate(parts)
    low, high = np.quantile(every, [0.005, 0.995])
    if low > 0 and high / low > WIDE:
        return np.geomspace(low, high, BINS + 1), True
    pad = (high - low) * 0.05 or max(abs(high) * 0.1, 1e-9)
    return np.linspace(max(low - pad, 0.0), high + pad, BINS + 1), False
