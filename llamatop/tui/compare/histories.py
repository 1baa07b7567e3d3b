"""What every run did over the same time: throughput and memory, on one axis and one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llamatop.events.clock import SECOND
from llamatop.text.formatting import size
from llamatop.tui.compare.state import Comparing
from llamatop.tui.compare.tape import Moment, Stretch, Tape
from llamatop.tui.drawing.charts import ceiling, highest
from llamatop.tui.drawing.lines import Line, Span, clip, fit, laid_over
from llamatop.tui.monitor.views.history import chart, with_marks
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import TIMES, moment, rate, scale

GUTTER = 3
"""Cells before a chart: the run's letter."""

_READOUT = 24
"""Cells behind it: what the run does at the position."""

_ROOMY = 64
_TITLED = 4
"""Rows of a run from which on its name stands over its chart."""


_NO_TIMES = "a table: it tells no times"


@dataclass(frozen=True, slots=True)
class _Axis:
    """The time that all charts share: `cells` steps of `step` ns."""

    step: int
    cells: int
    here: int
    """The cell of the position."""
    rates: float
    """Tokens per second at the upper edge of every throughput chart."""
    bytes: float
    """At the upper edge of every memory chart."""


def histories(comparing: Comparing, width: int, height: int) -> Content:
    """A band a run, all of the same height, the baseline first."""
    tapes, stretches = comparing.tapes, comparing.stretches()
    readout = _READOUT if width >= _ROOMY else 0
    cells = width - GUTTER - readout
    rows = height // len(tapes)
    if cells < 8 or rows < 1:
        return Content()
    axis = _axis(comparing, stretches, cells)
    lines: list[Line] = []
    for tape, stretch in zip(tapes, stretches, strict=True):
        band = _band(comparing, tape, stretch, axis, rows)
        told = _told(comparing, tape, stretch, rows) if readout else []
        lines += _beside(tape, [fit(line, cells) for line in band], told, rows)
    scales: list[Span] = [(f"to {scale(axis.rates)} tok/s", "work")]
    memory: list[Span] = [(f"to {size(axis.bytes)}", "memory")]
    corner = [scales, *([memory] if rows > 1 else [])]
    return Content(lines, corner=corner, foot=_foot(axis, width))


def _axis(comparing: Comparing, stretches: Sequence[Stretch | None], cells: int) -> _Axis:
    deck = comparing.deck
    step = max(-(-deck.length // cells), 1)
    known = [(t, s) for t, s in zip(comparing.tapes, stretches, strict=True) if s is not None]
    rates = [highest(tape.rates(stretch, step, cells)) for tape, stretch in known]
    memory = [highest(tape.memory(stretch, step, cells)) for tape, stretch in known]
    here = cells if deck.ended else min(deck.position // step, cells - 1)
    return _Axis(step, cells, here, ceiling(max(rates)), ceiling(max(memory)))


def _band(
    comparing: Comparing, tape: Tape, stretch: Stretch | None, axis: _Axis, rows: int
) -> list[Line]:
    """One run's charts; what comes after the position is faint."""
    if stretch is None:
        return [((f"did not run {TIMES}{comparing.level}", "dim"),)]
    if tape.is_table:
        return [((clip(tape.label, axis.cells), "dim"),), ((_NO_TIMES, "dim"),)]
    title: list[Line] = [((clip(tape.label, axis.cells), "dim"),)] if rows >= _TITLED else []
    rows -= len(title)
    lower = rows // 3 if rows > 2 else rows - 1
    values = tape.rates(stretch, axis.step, axis.cells)
    upper = chart(values, "work", axis.cells, rows - lower, axis.rates)
    marks = _marks(comparing, tape, stretch, axis) if rows - lower > 1 else []
    drawn = with_marks(upper, marks, axis.cells)
    if lower:
        bytes_ = tape.memory(stretch, axis.step, axis.cells)
        drawn += chart(bytes_, "memory", axis.cells, lower, axis.bytes)
    end = min(-(-stretch.length // axis.step), axis.cells)
    return [*title, *(_played(line, axis, end) for line in drawn)]


def _marks(
    comparing: Comparing, tape: Tape, stretch: Stretch, axis: _Axis
) -> list[tuple[int, str]]:
    """The levels' beginnings, where all of them are looked at; no two names over each other."""
    marks: list[tuple[int, str]] = []
    free = 0
    for time, kind, name in tape.marks(stretch, comparing.level):
        column, told = time // axis.step, f"{TIMES}{name}"
        if kind == "level" and column >= free and column < axis.cells:
            marks.append((column, told))
            free = column + len(told) + 2
    return marks


def _played(line: Line, axis: _Axis, end: int) -> Line:
    """The line with its part after the position faint, and the position itself marked."""
    line = fit(line, axis.cells)
    cells = [(char, role) for text, role in line for char in text]
    later = [(place, cells[place][0], "faint") for place in range(axis.here, len(cells))]
    over = laid_over(line, later)
    if axis.here >= axis.cells:
        return over
    sign = cells[axis.here][0]
    return laid_over(over, [(axis.here, "│" if sign == " " else sign, "key")]) if end else over


def _told(comparing: Comparing, tape: Tape, stretch: Stretch | None, rows: int) -> list[list[Span]]:
    """What the run does at the position; past its end, what it did in all."""
    if stretch is None or tape.is_table:
        return []
    deck = comparing.deck
    now = tape.at(stretch, deck.position)
    done: list[Span] = [(f"{now.done:,} done", "text")]
    if now.failed:
        done.append((f"  {now.failed:,} failed", "bad"))
    if deck.position >= stretch.length:
        length = moment(stretch.length)
        return [[(f"{now.tokens:,} tok in {length}", "text")], done][:rows]
    return _now(now, done)[:rows]


def _now(now: Moment, done: list[Span]) -> list[list[Span]]:
    memory: list[Span] = [(size(now.memory), "memory")] if now.memory is not None else []
    first: list[Span] = [(f"{rate(now.rate)} tok/s", "work")]
    flying: list[Span] = [(f"{now.flying:,} in flight  ", "text"), *done]
    return [first, flying, memory]


def _beside(
    tape: Tape, band: Sequence[Line], told: Sequence[Sequence[Span]], rows: int
) -> list[Line]:
    """Letter, charts and readout in so many rows."""
    lines: list[Line] = []
    for row in range(rows):
        letter = f" {tape.letter} " if row == 0 else " " * GUTTER
        middle = band[row] if row < len(band) else ()
        line: Line = ((letter, "key.bold"), *middle)
        if row < len(told):
            line = (*line, ("  ", "text"), *told[row])
        lines.append(line)
    return lines


def _foot(axis: _Axis, width: int) -> Line:
    """The axis of time from where the runs, or the level, began."""
    length = axis.step * axis.cells / SECOND
    line: Line = (("─" * width, "line"),)
    marks: list[tuple[int, str, str]] = [(GUTTER - 1, " 0 s ", "dim")]
    for share in (0.5, 1.0) if axis.cells >= 40 else (1.0,):
        text = f" {_seconds(length * share)} "
        place = GUTTER + round(axis.cells * share) - (len(text) if share == 1 else len(text) // 2)
        marks.append((place, text, "dim"))
    return laid_over(line, marks)


def _seconds(seconds: float) -> str:
    """A time on the axis: `8.4 s`, `35 s`, `2:05`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return moment(round(seconds) * SECOND).removesuffix(".0")
