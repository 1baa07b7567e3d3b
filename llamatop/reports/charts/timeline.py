"""The run over time: tokens per second, requests in flight and memory on one axis of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from llamatop.events.clock import SECOND
from llamatop.figures.requests import rate_history
from llamatop.figures.served import held
from llamatop.reports.charts.levels import NewSheet
from llamatop.reports.charts.paper import Sheet, Style
from llamatop.reports.charts.ticks import byte_unit, extent, from_zero
from llamatop.reports.runs import Run, labels
from llamatop.session.known import BIN
from llamatop.session.reducer import Session

Floats = NDArray[np.float64]
Trace = tuple[Floats, Floats]
"""Seconds, and a value at each."""

_LOW = 0.8
"""Inches of a row beside which its name finds no room: it stands above it."""

_TWO = 0.3
"""Inches of a row beside which two labels of its axis find room."""

MOST = 600
"""Points of one line; more cannot be told apart on a slide."""


def timeline(runs: Sequence[Run], new: NewSheet) -> Sheet | str:
    """Three axes over one another; several runs begin together, with their first level."""
    if not any(run.session.requests for run in runs):
        return "no request was made"
    sheet = new("The run over time", _subtitle(runs))
    styles = [sheet.style(place) for place in range(len(runs))]
    if len(runs) > 1:
        for style, label in zip(styles, labels(runs), strict=True):
            look = {"color": style.color, "linestyle": style.line, "linewidth": 2.0}
            sheet.legend(label, series=True, **look)
    low = sheet.room() / 3 < _LOW
    panels = sheet.axes(rows=3, gap=0.24 if low else 0.14, above=0.1 if low else 0.0)
    for axes in panels[:2]:
        axes.tick_params(labelbottom=False)
    since = first_measured(runs[0].session) / SECOND if len(runs) == 1 else 0.0
    _time_axis(sheet, panels, runs, since)
    _rates(panels[0], runs, styles)
    _in_flight(panels[1], runs, styles)
    _memory(panels[2], runs, styles)
    if low:
        _named_above(sheet, panels)
    return sheet


def _named_above(sheet: Sheet, panels: list[Axes]) -> None:
    """Beside low axes their names find no room."""
    for axes in panels:
        axes.set_title(axes.get_ylabel(), fontsize=8, loc="left", pad=2, color=sheet.theme.ink)
        axes.set_ylabel("")
        one = "lower" if extent(axes)[1] < _TWO else None
        axes.yaxis.set_major_locator(MaxNLocator(2, integer=axes is panels[1], prune=one))


def _subtitle(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return "from the first measured request on; bands are levels, marked with their concurrency"
    return "time counts from each run's first measured request"


def origin(run: Run, alone: bool) -> int:
    """The time (ns) that the axis calls 0."""
    return 0 if alone else first_measured(run.session)


def first_measured(session: Session) -> int:
    """When the first request was scheduled that is no warm-up; else the first level (ns)."""
    measured = (r.scheduled for level in session.levels.values() for r in level.requests[:1])
    started = (level.started for level in session.levels.values())
    return min(measured, default=min(started, default=0))


def _end(session: Session) -> int:
    return max([session.now, *(level.ended or 0 for level in session.levels.values())])


def rates(run: Run, zero: int) -> Trace:
    """Output tokens per second in steps that leave at most `MOST` points."""
    step = max(-(-_end(run.session) // MOST // BIN), 2) * BIN
    values = np.array(rate_history(run.session, step, _end(run.session)), dtype=np.float64)
    return (np.arange(len(values)) + 0.5) * step / SECOND - zero / SECOND, values


def in_flight(run: Run, zero: int) -> Trace:
    """Requests that were waiting or running, after each change."""
    requests = run.session.requests.values()
    begins = [request.scheduled for request in requests]
    ends = [request.ended for request in requests if request.ended is not None]
    times = np.array(begins + ends, dtype=np.int64)
    steps = np.repeat([1, -1], [len(begins), len(ends)])
    order = np.argsort(times, kind="stable")
    times, running = times[order], np.cumsum(steps[order]).astype(np.float64)
    settled = np.append(np.diff(times) > 0, True)[: len(times)]  # a table has no requests
    return _thin((times[settled] - zero) / SECOND, running[settled])


def memory(run: Run, zero: int) -> Trace:
    """Bytes that the engine has allocated on its device, where there are samples, else those that
    its process holds: the quantities whose peaks `charts.memory` draws."""
    session = run.session
    found: list[tuple[int, int]] = []
    for samples in session.allocated.values():
        found = found or [(sample.time, sample.allocated_bytes) for sample in samples]
    if not found:
        sizes = ((sample.time, held(session)(sample)) for sample in session.host)
        found = [(time, size) for time, size in sizes if size is not None]
    times = np.array([time for time, _ in found], dtype=np.float64)
    return _thin((times - zero) / SECOND, np.array([value for _, value in found], dtype=np.float64))


def _thin(times: Floats, values: Floats) -> Trace:
    """The largest value of each of `MOST` stretches."""
    if len(times) <= 2 * MOST:
        return times, values
    edges = np.linspace(0, len(times), MOST + 1).astype(int)[:-1]
    return times[edges], np.maximum.reduceat(values, edges)


def _rates(axes: Axes, runs: Sequence[Run], styles: list[Style]) -> None:
    _traces(axes, [rates(run, origin(run, len(runs) == 1)) for run in runs], styles, 1.0)
    axes.set_ylabel("tokens/s")


def _in_flight(axes: Axes, runs: Sequence[Run], styles: list[Style]) -> None:
    traces = [in_flight(run, origin(run, len(runs) == 1)) for run in runs]
    _traces(axes, traces, styles, 1.0, drawstyle="steps-post")
    axes.set_ylabel("requests")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _memory(axes: Axes, runs: Sequence[Run], styles: list[Style]) -> None:
    traces = [memory(run, origin(run, len(runs) == 1)) for run in runs]
    unit, one = byte_unit([float(values.max()) for _, values in traces if len(values)])
    _traces(axes, traces, styles, one)
    on_device = [bool(run.session.allocated) for run in runs]
    one_kind = "allocated" if all(on_device) else "engine process"
    name = one_kind if len(set(on_device)) == 1 else "memory"
    axes.set_ylabel(f"{name} ({unit})")


def _traces(
    axes: Axes, traces: list[Trace], styles: list[Style], one: float, drawstyle: str = "default"
) -> None:
    for (times, values), style in zip(traces, styles, strict=True):
        axes.plot(
            times, values / one, color=style.color, linestyle=style.line, linewidth=1.6,
            drawstyle=drawstyle,
        )  # fmt: skip
    visible = [values[times >= axes.get_xlim()[0]] for times, values in traces]
    highest = max((float(values.max()) / one for values in visible if len(values)), default=0)
    from_zero(axes, highest)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _time_axis(sheet: Sheet, panels: list[Axes], runs: Sequence[Run], begin: float) -> None:
    alone = len(runs) == 1
    end = max((_end(run.session) - origin(run, alone)) / SECOND for run in runs)
    for axes in panels:
        axes.set_xlim(begin, end + (end - begin) * 0.01 if end > begin else begin + 1)
    since = "since the run began" if alone else "since the first measured request"
    panels[-1].set_xlabel(f"seconds {since}")
    if alone:
        _bands(sheet, panels, runs[0].session, (begin, end))


def _bands(sheet: Sheet, panels: list[Axes], session: Session, shown: tuple[float, float]) -> None:
    """Every other level shaded, its concurrency at the top where there is room."""
    for place, level in enumerate(session.levels.values()):
        left = max(level.started / SECOND, shown[0])
        right = (session.now if level.ended is None else level.ended) / SECOND
        for axes in panels:
            axes.axvspan(
                left, right, color=sheet.theme.muted, alpha=0.14 if place % 2 else 0.05, linewidth=0
            )
        if right - left > (shown[1] - shown[0]) * 0.012 * (len(str(level.concurrency)) + 1):
            panels[0].text(
                (left + right) / 2, 1.03, f"{level.concurrency}", ha="center", va="bottom",
                transform=panels[0].get_xaxis_transform(), fontsize=8.5, color=sheet.theme.muted,
            )  # fmt: skip
