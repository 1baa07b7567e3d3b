"""Latency over throughput: what each further request in flight buys, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from llamatop.figures.levels import LevelFigures
from llamatop.reports.charts.levels import NewSheet, at, bad, is_open, spread_told
from llamatop.reports.charts.paper import Sheet, Style
from llamatop.reports.charts.plans import Plan, plans
from llamatop.reports.charts.ticks import apart, extent, from_zero, second_unit, short_numbers
from llamatop.reports.knee import knee, usable
from llamatop.reports.runs import Run

_LETTER, _HEIGHT = 0.085, 0.16
"""Inches of a label's letter, and of its height."""

_BESIDE = (
    (0.0, 0.24), (0.0, -0.24), (0.30, 0.0), (-0.30, 0.0),
    (0.2, 0.2), (-0.2, 0.2), (0.2, -0.2), (-0.2, -0.2),
)  # fmt: skip
"""Inches from a point to where its label may be; the last where ranges go both ways."""

_MARGIN = 0.02
"""Share of the x axis left of 0: a ring there covers no label of the y axis."""

_MOST_PLACES = 200
"""More than lie on the longest line within a chart; a damaged time may be anywhere."""

Box = tuple[float, float, float, float]


def curve(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Mean end-to-end latency over output throughput, a point a level, the knee marked.

    Runs of one plan are one line through their means, with each level's range in both directions.
    """
    kinds = plans(runs)
    levels = [_levels(plan) for plan in kinds]
    if not any(levels):
        return "no request completed"
    sheet = new("Latency vs throughput", _subtitle(runs, kinds))
    styles = [sheet.style(place, len(kinds)) for place in range(len(kinds))]
    if len(kinds) > 1:
        for style, plan in zip(styles, kinds, strict=True):
            sheet.legend(plan.label, series=True, **style.look())
    if any(map(_knee, kinds)):
        ring = _ring(sheet) | {"markersize": 10}
        sheet.legend("knee: the most throughput per latency", **ring)
    points = [[_mean(level) for level in line] for line in levels]
    (axes,) = sheet.axes()
    unit, one = second_unit([y for line in points for _, _, y in line])
    _scale(axes, [point for line in levels for level in line for point in level], one)
    if len(kinds) > 1:
        apart(axes, [y / one for line in points for _, _, y in line])
    axes.set_xlabel("output tokens per second")
    axes.set_ylabel(f"mean end-to-end latency ({unit})")
    for plan, found, line, style in zip(kinds, levels, points, styles, strict=True):
        _whiskers(axes, found, one, style)
        rates, latencies = [x for _, x, _ in line], [y / one for _, _, y in line]
        axes.plot(rates, latencies, clip_on=False, **style.look(6.5))
        _mark_knee(sheet, axes, plan, one)
    taken: list[Box] = []
    drawn = [*points, *(line for found in levels for level in found for line in _ranges(level))]
    covered = [at for line in drawn for at in _along(_places(axes, line, one))]
    for line in points:
        _label(sheet, axes, line, one, taken=taken, covered=covered, every=len(kinds) == 1)
    return sheet


def _subtitle(runs: Sequence[Run], kinds: Sequence[Plan]) -> str:
    what = "mean requests in flight" if any(map(is_open, runs)) else "concurrency"
    several = any(len(plan.runs) > 1 for plan in kinds)
    begin = "" if several else "a point a level, "
    text = f"{begin}marked with its {what}; better is right and down"
    alone = len(kinds) == 1 and len(runs[0].figures) > 2
    if alone and _knee(kinds[0]) is None:
        text += "; no knee" if several else "; no knee among them"
    return spread_told(text, kinds)


Point = tuple[float, float, float]
"""Requests in flight, tokens per second, seconds."""


def _levels(plan: Plan) -> list[list[Point]]:
    """Each level's point of every run, by the requests in flight."""
    levels: dict[int, list[Point]] = {}
    for run in plan.runs:
        for figures in run.figures:
            if figures.output_rate is not None and figures.e2e is not None and not bad(figures):
                level = figures.concurrency if len(plan.runs) > 1 else figures.level
                point = (at(run, figures), figures.output_rate, figures.e2e.mean)
                levels.setdefault(level, []).append(point)
    return sorted(levels.values())


def _mean(points: Sequence[Point]) -> Point:
    flight, rate, seconds = (math.fsum(part) / len(points) for part in zip(*points, strict=True))
    return flight, rate, seconds


def _ranges(level: Sequence[Point]) -> list[list[Point]]:
    """From the lowest to the highest run, across and up; nothing of one."""
    if len(level) == 1:
        return []
    flight, x, y = _mean(level)
    _, rates, seconds = zip(*level, strict=True)
    return [
        [(flight, end(rates), y) for end in (min, max)],
        [(flight, x, end(seconds)) for end in (min, max)],
    ]


def _whiskers(axes: Axes, levels: Sequence[list[Point]], one: float, style: Style) -> None:
    """Each level's range of throughput and of latency."""
    look: dict[str, Any] = {"color": style.color, "linewidth": 1.5, "alpha": 0.7}
    for (_, x, y), (_, to_x, to_y) in (line for level in levels for line in _ranges(level)):
        axes.plot((x, to_x), (y / one, to_y / one), **look)


def _knee(plan: Plan) -> LevelFigures | None:
    """The level where the line of a plan bends, its figures the runs' means."""
    levels: dict[int, list[LevelFigures]] = {}
    for figures in (figures for run in plan.runs for figures in run.figures):
        if usable(figures) and figures.output_rate and figures.e2e:
            levels.setdefault(figures.concurrency, []).append(figures)
    return knee([_middle(found) for found in levels.values()])


def _middle(found: Sequence[LevelFigures]) -> LevelFigures:
    """One level of several runs: the first one's figures, with the means of what is drawn."""
    rate = math.fsum(figures.output_rate or 0.0 for figures in found) / len(found)
    spreads = [figures.e2e for figures in found if figures.e2e is not None]
    seconds = math.fsum(spread.mean for spread in spreads) / len(spreads)
    middle = msgspec.structs.replace(spreads[0], mean=seconds)
    return replace(found[0], output_rate=rate, e2e=middle)


def _scale(axes: Axes, points: Sequence[Point], one: float) -> None:
    highest = max(x for _, x, _ in points) * 1.1
    axes.set_xlim(-highest * _MARGIN, highest)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.xaxis.set_major_formatter(short_numbers(highest))
    from_zero(axes, max(y for _, _, y in points) / one)


def _ring(sheet: Sheet) -> dict[str, Any]:
    return {
        "color": sheet.theme.ink, "marker": "o", "markerfacecolor": "none", "linestyle": "none",
        "markersize": 15, "markeredgewidth": 1.8,
    }  # fmt: skip


def _mark_knee(sheet: Sheet, axes: Axes, plan: Plan, one: float) -> None:
    bend = _knee(plan)
    if bend is not None and bend.output_rate is not None and bend.e2e is not None:
        axes.plot([bend.output_rate], [bend.e2e.mean / one], clip_on=False, **_ring(sheet))


def _label(
    sheet: Sheet,
    axes: Axes,
    line: list[Point],
    one: float,
    *,
    taken: list[Box],
    covered: list[tuple[float, float]],
    every: bool,
) -> None:
    """Write the points' concurrency where it covers nothing, the last first; else the ends'."""
    points, highest = _places(axes, line, one), extent(axes)[1] + _HEIGHT
    for (concurrency, x, y), (at_x, at_y) in zip(reversed(line), reversed(points), strict=True):
        if not every and concurrency not in (line[0][0], line[-1][0]):
            continue
        text = f"{concurrency:.4g}"
        for dx, dy in _BESIDE:
            box = _box(at_x + dx, at_y + dy, text)
            outside = box[0] < 0 or box[1] < 0 or box[3] > highest
            if not (outside or any(_touch(box, other) for other in taken) or _covers(box, covered)):
                taken.append(box)
                axes.annotate(
                    text, (x, y / one), (dx * 72, dy * 72), textcoords="offset points",
                    ha="center", va="center", fontsize=9, color=sheet.theme.ink,
                )  # fmt: skip
                break


def _places(axes: Axes, line: list[Point], one: float) -> list[tuple[float, float]]:
    return [_place(axes, x, y / one) for _, x, y in line]


def _place(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Inches from the axes' corner."""
    width, height = extent(axes)
    right, top = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
    return float(right) * width, float(top) * height


def _along(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points and places on the lines between them, close enough that no letter slips by."""
    found = list(points)
    for (x, y), (to_x, to_y) in pairwise(points):
        steps = min(max(int(math.hypot(to_x - x, to_y - y) / (_HEIGHT / 2)), 1), _MOST_PLACES)
        found += [(x + (to_x - x) * i / steps, y + (to_y - y) * i / steps) for i in range(1, steps)]
    return found


def _box(x: float, y: float, text: str) -> Box:
    half = _LETTER * len(text) / 2 + 0.02
    return x - half, y - _HEIGHT / 2, x + half, y + _HEIGHT / 2


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covers(box: Box, points: list[tuple[float, float]]) -> bool:
    return any(
        box[0] - 0.05 < x < box[2] + 0.05 and box[1] - 0.05 < y < box[3] + 0.05 for x, y in points
    )
