"""How the gaps between tokens are spread: the ITL histogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from llamatop.figures.pooled import Floats, pooled_gaps
from llamatop.reports.charts.levels import NewSheet
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.plans import Plan, plans
from llamatop.reports.charts.ticks import from_zero, second_unit
from llamatop.reports.charts.wrap import printable
from llamatop.reports.runs import Run
from llamatop.session.requests import Level
from llamatop.text.formatting import duration, number

BINS = 60
MOST = 6
"""Rows at most: levels of one run, or runs."""

_LOWEST, _GAP, _ABOVE = 0.2, 0.24, 0.16
"""Inches of the lowest row that can be read, between rows, and over the first."""

WIDE = 8
"""From this ratio of the highest to the lowest value that finds room, the axis is logarithmic."""

_QUANTILES = (0.005, 0.5, 0.99, 0.995)


def histogram(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Inter-token latencies: a row a level of one plan, or a row a plan at the level they share.

    A row of several runs of a plan has the gaps of all of them, and the range of each share.
    """
    kinds = plans(runs)
    sheet = new("Time between tokens", "")
    sheet.legend("p50", color=sheet.theme.ink, linestyle="-", linewidth=1.6)
    sheet.legend("p99", color=sheet.theme.ink, linestyle=(0, (4, 2)), linewidth=1.6)
    most = min(int((sheet.room() - _ABOVE + _GAP) / (_LOWEST + _GAP)), MOST)
    parts, among = _of_levels(kinds[0], most) if len(kinds) == 1 else _of_plans(kinds, most)
    if not parts:
        return "no request has two tokens"
    several = any(len(each) > 1 for _, each in parts)
    also = "; all runs of a plan, and the range of them" if several else ""
    sheet.subtitle = f"inter-token latencies (ITL){among}; lines mark p50 and p99{also}"
    spreads = [np.quantile(np.concatenate(each), _QUANTILES) for _, each in parts]
    unit, one = second_unit([float(middle) for _, middle, _, _ in spreads])
    edges, doubling = _edges([spread / one for spread in spreads])
    rows = sheet.axes(rows=len(parts), gap=_GAP, above=_ABOVE)
    for axes, (label, each), (_, middle, high, _) in zip(rows, parts, spreads, strict=True):
        _row(sheet, axes, [gaps / one for gaps in each], edges, (middle / one, high / one))
        told = f"{printable(label)}: {_told(each, 'p50', middle)}, {_told(each, 'p99', high)}"
        axes.set_title(told, fontsize=9, loc="left", pad=3, color=sheet.theme.ink)
        _scale(axes, edges, doubling)
    for axes in rows[:-1]:
        axes.tick_params(labelbottom=False)
    rows[-1].set_xlabel(f"time from one token to the next ({unit}); the last bins hold the rest")
    sheet.figure.supylabel("share of gaps (%)", x=0.035, fontsize=10, color=sheet.theme.ink)
    return sheet


def _told(each: Sequence[Floats], name: str, value: float) -> str:
    """A percentile, and from where to where it is in the runs."""
    told = f"{name} {duration(float(value))}"
    if len(each) == 1:
        return told
    found = [float(np.percentile(gaps, int(name[1:]))) for gaps in each]
    return f"{told} ({duration(min(found))} to {duration(max(found))})"


def _row(
    sheet: Sheet,
    axes: Axes,
    each: Sequence[Floats],
    edges: Floats,
    marks: tuple[float, float],
) -> None:
    """One histogram with its median and its 99th percentile; `each`: the gaps of each run."""
    shares, color = _shares(np.concatenate(each), edges), sheet.theme.series[0]
    of_runs = np.array([_shares(gaps, edges) for gaps in each])
    low = of_runs.min(0) if len(each) > 1 else 0
    axes.stairs(of_runs.max(0), edges, baseline=low, color=color, fill=True, alpha=0.35)
    axes.stairs(shares, edges, color=color, linewidth=1.2)
    for at, line in zip(marks, ("-", (0, (4, 2))), strict=True):
        axes.axvline(at, color=sheet.theme.ink, linestyle=line, linewidth=1.6)
    from_zero(axes, float(max(shares.max(), of_runs.max())))
    axes.yaxis.set_major_locator(MaxNLocator(2))


def _shares(values: Floats, edges: Floats) -> Floats:
    """Per cent of the values in each bin, those beyond in the last ones."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: Floats = counts * 100 / len(values)
    return shares


def _scale(axes: Axes, edges: Floats, doubling: bool) -> None:
    """The axis of time, the same in every row."""
    if doubling:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 1)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(float(edges[0]), float(edges[-1]))


Rows = list[tuple[str, list[Floats]]]
"""Each with its name and the gaps of each run."""


def _of_levels(plan: Plan, most: int) -> tuple[Rows, str]:
    """At most so many levels with gaps, first and last among them, and which they are of all."""
    levels: dict[int, list[Level]] = {}
    for run in plan.runs:
        for level in run.session.levels.values():
            key = level.concurrency if len(plan.runs) > 1 else level.id
            levels.setdefault(key, []).append(level)
    found = [(f"C={levels[key][0].concurrency}", _gaps(levels[key])) for key in sorted(levels)]
    found = [part for part in found if part[1]]
    places = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    among = f" of {most} of the {len(found)} levels" if len(found) > most else ""
    return [found[place] for place in places], among


def _of_plans(kinds: Sequence[Plan], most: int) -> tuple[Rows, str]:
    """The first plans with gaps, and which they are of all.

    Each at the highest concurrency that all of them ran, else at its own highest.
    """
    there = [(plan, reached) for plan in kinds if (reached := _reached(plan))]
    drawn = there[:most]
    shared = set.intersection(*(reached for _, reached in drawn)) if drawn else set()
    parts = []
    for plan, reached in drawn:
        wanted = max(shared or reached)
        parts.append((f"{plan.label}, C={wanted}", _gaps(_last(plan, wanted))))
    among = f" of the first {most} of {len(there)} recordings" if len(there) > most else ""
    return [part for part in parts if part[1]], among


def _reached(plan: Plan) -> set[int]:
    """The concurrencies at which a request of two tokens completed in some run."""
    return set[int]().union(*map(_with_gaps, plan.runs))


def _last(plan: Plan, concurrency: int) -> list[Level]:
    """The last level with so many at once of each run that has one."""
    runs = (run.session.levels.values() for run in plan.runs)
    found = ([level for level in levels if level.concurrency == concurrency] for levels in runs)
    return [levels[-1] for levels in found if levels]


def _with_gaps(run: Run) -> set[int]:
    """The concurrencies at which a request of two tokens completed."""
    levels = run.session.levels.values()
    return {
        level.concurrency
        for level in levels
        if any(one.state == "done" and one.tokens > 1 for one in level.requests)
    }


def _gaps(levels: Sequence[Level]) -> list[Floats]:
    """Those of each level that has any."""
    return [found for found in map(gaps, levels) if len(found)]


def gaps(level: Level) -> Floats:
    """All inter-token latencies of a level's completed requests, in seconds."""
    every, _ = pooled_gaps([request for request in level.requests if request.state == "done"])
    return every[every >= 0]


def _edges(spreads: list[Floats]) -> tuple[Floats, bool]:
    """Edges of the bins in which each row finds its place, and whether they are logarithmic."""
    low, high = min(spread[0] for spread in spreads), max(spread[-1] for spread in spreads)
    if low > 0 and high / low > WIDE:
        pad = (high / low) ** 0.02
        return np.geomspace(low / pad, high * pad, BINS + 1), True
    pad = (high - low) * 0.05 or max(abs(high) * 0.1, 1e-9)
    return np.linspace(max(low - pad, 0.0), high + pad, BINS + 1), False
