"""Charts over concurrency: throughput, latencies, MBU, and what all such charts share.

Knows figures of levels and how to draw them; a level that ended badly is a cross at the foot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes

from llamatop.figures.levels import LevelFigures
from llamatop.figures.stats import Distribution
from llamatop.reports.charts.paper import FEW, Sheet, Style
from llamatop.reports.charts.plans import SPREAD, Plan, plans, spread
from llamatop.reports.charts.ticks import apart, concurrency_axis, from_zero, second_unit
from llamatop.reports.runs import Run
from llamatop.reports.summary import level_summary
from llamatop.text.formatting import duration

Value = Callable[[LevelFigures], float | None]
ValueOf = Callable[[Run], Value]
NewSheet = Callable[[str, str], Sheet]

CROSS: dict[str, Any] = {
    "color": "#e64980", "marker": "x", "linestyle": "none", "markeredgewidth": 2.5,
}  # fmt: skip
"""A level that went wrong, on light and dark."""

HOLLOW: dict[str, Any] = {"markerfacecolor": "none", "markersize": 9.0, "markeredgewidth": 1.5}
"""A mark around another."""

NO_TARGETS = "no targets are set; --slo ttft=0.5,tpot=0.05 sets some"

PERCENTILES = ("p50", "p90", "p99")


@dataclass(frozen=True, slots=True)
class Line:
    """One line over concurrency."""

    label: str
    points: list[tuple[float, float]]
    style: Style
    hollow: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    """(place, lowest, highest) of several runs of one plan."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What no value can pass."""

    label: str
    value: float


def throughput(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Output tokens per second."""
    return one_axes(
        runs,
        new,
        over(runs, "Throughput"),
        "output tokens per second, all requests together",
        lambda figures: figures.output_rate,
        unit=lambda values: ("output tokens per second", 1.0),
    )


def mbu(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Memory bandwidth utilisation."""
    return one_axes(
        runs,
        new,
        over(runs, "MBU"),
        "memory bandwidth utilisation: the share of the measured bandwidth that decoding uses",
        lambda figures: level_summary(figures)["mbu"],
        unit=lambda values: ("MBU (%)", 0.01),
    )


def goodput(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Requests per second that met every target; of one run beside all that completed."""
    targets = [run.session.started.config.slo for run in runs if run.session.started]
    if not any(targets):
        return NO_TARGETS
    sheet = new(over(runs, "Goodput"), f"completed requests per second with {_targets(targets)}")
    kinds = plans(runs)
    if len(kinds) == 1:
        lines = [
            plan_line(kinds[0], "within the targets", sheet.style(0, 2), lambda f: f.goodput),
            plan_line(kinds[0], "all that completed", sheet.style(1, 2), lambda f: f.request_rate),
        ]
    else:
        lines = plan_lines(sheet, kinds, lambda figures: figures.goodput)
    if not any(line.points for line in lines):
        return "not measured"
    return drawn_sheet(sheet, runs, lines, lambda values: ("requests per second", 1.0))


def _targets(targets: Sequence[dict[str, float]]) -> str:
    """The targets in words, where they are the same in every run."""
    if any(slo != targets[0] for slo in targets):
        return "each recording's own targets met"
    return ", ".join(f"{name.upper()} ≤ {duration(limit)}" for name, limit in targets[0].items())


def latency(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """TTFT, TPOT and E2E: their percentiles in three axes."""
    if not any(figures.e2e for run in runs for figures in run.figures):
        return "no request completed"
    kinds = plans(runs)
    parts = _parts(kinds)
    what = "medians" if len(parts) == 1 else "percentiles"
    sheet = new(
        over(runs, "Latency"),
        spread_told(f"{what} over the completed requests of each level", kinds),
    )
    groups = {name: _percentile_lines(sheet, kinds, name) for name in ("ttft", "tpot", "e2e")}
    if len(kinds) == 1:
        for line in groups["e2e"]:
            _entry(sheet, line)
    else:
        runs_legend(sheet, [plan.label for plan in kinds])
        for part, line in zip(parts if len(parts) > 1 else (), PERCENTILE_LINES, strict=False):
            look = Style(sheet.theme.ink, line, "o").look()
            sheet.legend(part, **(look | (HOLLOW if part == "p99" else {})))
    _crosses_entry(sheet, runs)
    for axes, (name, lines) in zip(sheet.axes(1, 3, above=0.2), groups.items(), strict=True):
        unit, one = second_unit([y for line in lines for _, y in line.points])
        plot_lines(axes, runs, lines, one)
        if len(runs) > 1:
            apart(axes, [y / one for line in lines for _, y in line.points])
        axes.set_title(f"{name.upper()} ({unit})", fontsize=10.5, color=sheet.theme.ink)
        axes.set_xlabel("in flight" if any(is_open(run) for run in runs) else "concurrency")
    return sheet


PERCENTILE_LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))


def _parts(kinds: Sequence[Plan]) -> Sequence[str]:
    """Percentiles that find room: all three of one plan, of many the median only."""
    return PERCENTILES if len(kinds) == 1 else ("p50", "p99") if len(kinds) <= FEW else ("p50",)


def spread_told(subtitle: str, kinds: Sequence[Plan]) -> str:
    """What bands mean, where there are any."""
    several = any(len(plan.runs) > 1 for plan in kinds)
    return f"{subtitle}; {SPREAD}" if several else subtitle


def runs_legend(sheet: Sheet, names: Sequence[str]) -> None:
    """The colour and mark of every line."""
    for place, label in enumerate(names):
        style = sheet.style(place)
        look = {"color": style.color, "marker": style.marker, "linestyle": "none", "markersize": 7}
        sheet.legend(label, series=True, **look)


def plan_lines(sheet: Sheet, kinds: Sequence[Plan], value: Value) -> list[Line]:
    """A line a plan."""
    return [
        plan_line(plan, plan.label, sheet.style(place, len(kinds)), value)
        for place, plan in enumerate(kinds)
    ]


def plan_line(plan: Plan, label: str, style: Style, value: Value) -> Line:
    """The line of a plan, without the levels that went wrong."""
    points, band = spread(
        plan,
        lambda run: [
            (figures.concurrency, (at(run, figures), value(figures)))
            for figures in run.figures
            if not bad(figures)
        ],
    )
    return Line(label, points, style, band=band)


def _percentile_lines(sheet: Sheet, kinds: Sequence[Plan], name: str) -> list[Line]:
    """A line a percentile of each plan."""
    parts = _parts(kinds)
    lines = []
    alone = len(kinds) == 1
    for place, plan in enumerate(kinds):
        for number, part in enumerate(parts):
            look = sheet.style(number, len(parts)) if alone else sheet.style(place, len(kinds))
            style = replace(look, line=PERCENTILE_LINES[number])
            label = part if alone else named(plan.label, part)
            line = plan_line(plan, label, style, _part(name, part))
            hollow = not alone and part == "p99"
            lines.append(replace(line, hollow=hollow, band=() if number else line.band))
    return lines


def _part(name: str, part: str) -> Value:
    def value(figures: LevelFigures) -> float | None:
        spread: Distribution | None = getattr(figures, name)
        return None if spread is None else float(getattr(spread, part))

    return value


def one_axes(
    runs: Sequence[Run],
    new: NewSheet,
    title: str,
    subtitle: str,
    value: Value,
    *,
    unit: Callable[[Sequence[float]], tuple[str, float]],
) -> Sheet | str:
    """One value over concurrency, a line a run; or why there is none."""
    kinds = plans(runs)
    sheet = new(title, spread_told(subtitle, kinds))
    lines = plan_lines(sheet, kinds, value)
    if not any(line.points for line in lines):
        return "not measured"
    return drawn_sheet(sheet, runs, lines, unit)


def drawn_sheet(
    sheet: Sheet,
    runs: Sequence[Run],
    lines: list[Line],
    unit: Callable[[Sequence[float]], tuple[str, float]],
    *,
    limit: Limit | None = None,
    bad_at: ValueOf | None = None,
    legend: bool = True,
) -> Sheet:
    """The sheet with these lines, their legend unless it is there, and what limits them.

    A level that went wrong is marked at `bad_at`, or at the foot.
    """
    if len(lines) > 1 and legend:
        for line in lines:
            _entry(sheet, line)
    _crosses_entry(sheet, runs)
    if limit is not None:
        sheet.legend(limit.label, color=sheet.theme.alarm, linestyle=(0, (8, 3)))
    (axes,) = sheet.axes()
    name, one = unit([y for line in lines for _, y in line.points])
    plot_lines(axes, runs, lines, one, bad_at)
    axes.set_ylabel(name)
    if limit is not None:
        at = limit.value / one
        axes.axhline(at, color=sheet.theme.alarm, linestyle=(0, (8, 3)), linewidth=1.5)
        from_zero(axes, max(at, axes.get_ylim()[1] / 1.12))
    return sheet


def plot_lines(
    axes: Axes, runs: Sequence[Run], lines: list[Line], one: float, bad_at: ValueOf | None = None
) -> None:
    """Draw lines from zero, their values in units of `one`, and the levels that went wrong."""
    open_loop = any(is_open(run) for run in runs)
    concurrency_axis(axes, [at(run, f) for run in runs for f in run.figures], open_loop)
    wrong = [(run, f) for run in runs for f in run.figures if bad(f)]
    there = known([(at(run, f), bad_at(run)(f)) for run, f in wrong] if bad_at else [])
    drawn = [*there, *(point for line in lines for point in line.points)]
    drawn += [(x, high) for line in lines for x, _, high in line.band]
    from_zero(axes, max((y / one for _, y in drawn), default=0))
    for line in lines:
        _plot_band(axes, line, one)
        axes.plot(*_scaled(line, one), **_look(line), clip_on=False)
    foot = sorted({at(run, f) for run, f in wrong} - {x for x, _ in there})
    look: dict[str, Any] = {**CROSS, "markersize": 10, "zorder": 5, "clip_on": False}
    if there:
        axes.plot([x for x, _ in there], [y / one for _, y in there], **look)
    if foot:
        axes.plot(foot, [0.03] * len(foot), transform=axes.get_xaxis_transform(), **look)


def _plot_band(axes: Axes, line: Line, one: float) -> None:
    """From the lowest to the highest run: a band, and at each level a whisker."""
    if not line.band:
        return
    x, low, high = zip(*((x, low / one, high / one) for x, low, high in line.band), strict=True)
    axes.fill_between(x, low, high, color=line.style.color, alpha=0.15, linewidth=0)
    axes.vlines(x, low, high, color=line.style.color, linewidth=1.5, alpha=0.7)


def _scaled(line: Line, one: float) -> tuple[list[float], list[float]]:
    return [x for x, _ in line.points], [y / one for _, y in line.points]


def _look(line: Line) -> dict[str, Any]:
    look = line.style.look(6.5 if len(line.points) <= 12 else 5.0)
    return look | (HOLLOW | {"markersize": look["markersize"] + 5} if line.hollow else {})


def _entry(sheet: Sheet, line: Line) -> None:
    if line.points:
        small = {"markersize": 9.0 if line.hollow else 6.0 + line.style.above}
        sheet.legend(line.label, series=True, **(_look(line) | small))


def _crosses_entry(sheet: Sheet, runs: Sequence[Run]) -> None:
    outcomes = {f.outcome for run in runs for f in run.figures if bad(f)}
    if outcomes:
        told = " or ".join(sorted("out of memory" if o == "oom" else "failed" for o in outcomes))
        sheet.legend(told, **CROSS, markersize=9)


def bad(figures: LevelFigures) -> bool:
    """Whether a level ended by a fault: its figures are no measurement."""
    return figures.outcome in ("oom", "failed")


def is_open(run: Run) -> bool:
    """Whether requests arrived by themselves, so that `--concurrency` was only a limit."""
    started = run.session.started
    return started is not None and started.config.open_loop


def over(runs: Sequence[Run], what: str) -> str:
    """The title of a chart over the levels, in the words of its axis."""
    axis = "requests in flight" if any(map(is_open, runs)) else "concurrency"
    return f"{what} vs {axis}"


def at(run: Run, figures: LevelFigures) -> float:
    """Where a level stands on the axis: requests in flight, of an open loop their mean."""
    level = run.session.levels.get(figures.level)
    if not is_open(run) or level is None:
        return figures.concurrency
    spans = [
        (request.admitted, request.ended)
        for request in level.requests
        if request.admitted is not None and request.ended is not None
    ]
    if not spans:
        return figures.concurrency
    length = max(end for _, end in spans) - min(begin for begin, _ in spans)
    busy = sum(end - begin for begin, end in spans)
    return round(busy / length, 2) if length else figures.concurrency


def known(points: list[tuple[float, float | None]]) -> list[tuple[float, float]]:
    """The points that were measured, by concurrency."""
    return sorted((x, y) for x, y in points if y is not None)


def named(label: str, what: str) -> str:
    """What a line is, behind the name of its run where there are several."""
    return f"{label}: {what}" if label else what
