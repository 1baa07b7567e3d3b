"""Charts of recordings as text, for a terminal or a pipe, drawn by plotext."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import plotext

from llamatop.events.clock import SECOND
from llamatop.figures.levels import LevelFigures
from llamatop.figures.requests import rate_history
from llamatop.figures.stats import Distribution
from llamatop.reports.runs import Run, facts, labels

Value = Callable[[LevelFigures], float | None]
Line = tuple[str, list[tuple[float, float]]]
"""A name and its points."""

HEIGHT = 16
MARKERS = ("braille", "dot", "hd", "+")
"""Of one line after another, so that they can be told apart without colour."""
NARROWEST = 40
MOST = 1000
"""Points of a line over time: two dots for each column of the widest terminal."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What is drawn on."""

    width: int
    """Columns."""
    colour: bool


def charts(runs: Sequence[Run], width: int, colour: bool) -> str:
    """All charts of these runs, one under another, and what was run."""
    paper = Paper(max(width, NARROWEST), colour)
    pairs = list(zip(labels(runs) if len(runs) > 1 else [""], runs, strict=True))
    on_device = any(f.device_peak_bytes is not None for run in runs for f in run.figures)
    most = max((_peak(f, on_device) or 0 for run in runs for f in run.figures), default=0)
    unit, scale = ("GB", 1e9) if most >= 1e9 else ("MB", 1e6)
    of_levels: dict[str, dict[str, Value]] = {
        "Throughput (tok/s)": {"": lambda f: f.output_rate},
        f"Peak memory ({unit})": {"": lambda f: _scaled(_peak(f, on_device), 1 / scale)},
        "TTFT (ms)": {"p50": lambda f: _ms(f.ttft, 50), "p99": lambda f: _ms(f.ttft, 99)},
        "ITL (ms)": {"p50": lambda f: _ms(f.itl, 50), "p99": lambda f: _ms(f.itl, 99)},
    }
    of_levels["Goodput (requests/s)"] = {"": lambda f: f.goodput}
    texts = [
        _draw(paper, title, _levels(pairs, values), by_level=True)
        for title, values in of_levels.items()
    ]
    over_time = [(name, _history(run)) for name, run in pairs]
    texts.append(_draw(paper, "The run over time (tok/s)", over_time, by_level=False))
    told = [" · ".join(facts(run)) for run in runs]
    return "\n\n".join([*filter(None, texts), *told])


def _ms(values: Distribution | None, percentile: int) -> float | None:
    if values is None:
        return None
    return (values.p50 if percentile == 50 else values.p99) * 1e3


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _peak(figures: LevelFigures, on_device: bool) -> float | None:
    """Of the accelerator, or of the engine process where no run has one."""
    return figures.device_peak_bytes if on_device else figures.host_peak_bytes


def _levels(pairs: Sequence[tuple[str, Run]], values: dict[str, Value]) -> list[Line]:
    """A line for each run and value; what is not known is left out."""
    lines = []
    for name, run in pairs:
        for kind, value in values.items():
            found = ((figures.concurrency, value(figures)) for figures in run.figures)
            points = [(float(x), y) for x, y in found if y is not None and math.isfinite(y)]
            lines.append((" ".join(filter(None, (name, kind))), sorted(points)))
    return lines


def _history(run: Run) -> list[tuple[float, float]]:
    """Tokens per second in steps of seconds that leave at most `MOST` of them."""
    seconds = max(-(-run.session.now // SECOND // MOST), 1)
    rates = rate_history(run.session, seconds * SECOND)
    return [(float(place * seconds), rate) for place, rate in enumerate(rates)]


def _ticks(highest: float) -> list[float]:
    """Round values from 0 to what is above the highest, about five of them."""
    if highest <= 0:
        return [0.0, 1.0]
    scale = 10.0 ** math.floor(math.log10(highest / 5))
    step = next(nice * scale for nice in (1, 2, 2.5, 5, 10) if nice * scale * 5 >= highest * 0.999)
    return [step * place for place in range(math.ceil(highest / step) + 1)]


def _draw(paper: Paper, title: str, lines: Sequence[Line], by_level: bool) -> str:
    """One chart; empty where there is nothing to draw. Levels stand evenly, each with its name."""
    lines = [(name, points) for name, points in lines if points]
    if not lines:
        return ""
    places = sorted({x for _, points in lines for x, _ in points})
    plotext.clear_figure()
    plotext.theme("pro" if paper.colour else "clear")
    plotext.plot_size(paper.width, HEIGHT)
    for (name, points), marker in zip(lines, cycle(MARKERS), strict=False):
        across_at = [places.index(x) if by_level else x for x, _ in points]
        heights = [y for _, y in points]
        plotext.plot(across_at, heights, label=name or None, marker=marker)
    if by_level:
        plotext.xticks(range(len(places)), [f"{place:g}" for place in places])
    ticks = _ticks(max(y for _, points in lines for _, y in points))
    plotext.ylim(0, ticks[-1])
    plotext.yticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    plotext.title(title)
    plotext.xlabel("concurrency" if by_level else "seconds")
    text = str(plotext.build())
    if not paper.colour:
        text = str(plotext.uncolorize(text))
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()
