"""Histories over the run's time, drawn as areas: one time axis for all panels of a column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from llamatop.events.clock import SECOND
from llamatop.session.known import BIN
from llamatop.tui.drawing.charts import area
from llamatop.tui.drawing.lines import Line, laid_over, line_width
from llamatop.tui.drawing.palette import SHADES
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.panel import axis
from llamatop.tui.monitor.views.values import TIMES
from llamatop.tui.monitor.windows import LIVE_STEP, STEPS


class Window(msgspec.Struct, frozen=True):
    """The stretch of time that a chart shows: `count` samples of `step` ns until `end`."""

    step: int
    count: int
    end: int

    @property
    def start(self) -> int:
        """The time of the left edge."""
        return self.end - self.step * self.count

    def column(self, time: int) -> int | None:
        """The cell that shows a time; None outside."""
        if not self.start < time <= self.end:
            return None
        return (time - self.start - 1) // self.step


def turned(frame: Frame, steps: int) -> None:
    """Histories over a longer time, or over a shorter one where `steps` is negative."""
    choices = frame.choices
    at = choices.span if choices.span is not None else STEPS.index(LIVE_STEP)
    choices.span = min(max(at + steps, 0), len(STEPS) - 1)


def window_of(frame: Frame, width: int) -> Window:
    """What a chart of so many cells shows: the newest minute or so; a finished run as a whole."""
    session, count = frame.session, width
    if frame.choices.span is not None:
        step = STEPS[frame.choices.span]
    elif session.ended is not None:
        step = _whole(session.now, count)
    else:
        step = LIVE_STEP
    return Window(step, count, session.now // step * step)


def _whole(length: int, count: int) -> int:
    """The smallest step, in whole bins, with which so many samples span the run."""
    return max(-(-length // (max(count, 1) * BIN)), 1) * BIN


def chart(
    values: Sequence[float | None], role: str, width: int, height: int, top: float
) -> list[Line]:
    """An area in the shades of a role; cells that are full are painted without a seam."""
    return shaded(area(values, width, height, top), role)


def shaded(rows: Sequence[str], role: str) -> list[Line]:
    """Rows of bars in the shades of a role, the lowest row darkest."""
    height = len(rows)
    return [_shaded(row, f"{role}.{_shade(height - 1 - y, height)}") for y, row in enumerate(rows)]


def _shaded(row: str, role: str) -> Line:
    parts = re.split("(█+)", row)
    return tuple((part, f"{role}.full" if part[0] == "█" else role) for part in parts if part)


def _shade(row: int, height: int) -> int:
    """The shade of a row that is so many above the floor."""
    return SHADES - 1 if height < 2 else row * (SHADES - 1) // (height - 1)


def labelled(lines: Sequence[Line], label: str) -> list[Line]:
    """The chart with the value of its upper edge at the left of its first row."""
    if not lines or line_width(lines[0]) <= len(label):
        return list(lines)
    return [laid_over(lines[0], [(0, label, "dim")]), *lines[1:]]


def with_marks(
    lines: Sequence[Line], marks: Sequence[tuple[int, str]], width: int, taken: int = 0
) -> list[Line]:
    """The chart with an upright line at some columns, each named in the top row.

    The first `taken` cells of the top row are somebody else's.
    """
    if not marks or not lines:
        return list(lines)
    top = laid_over(lines[0], _names(marks, width, taken))
    return [top, *(_crossed(line, [column for column, _ in marks]) for line in lines[1:])]


def _names(marks: Sequence[tuple[int, str]], width: int, taken: int) -> list[tuple[int, str, str]]:
    """The marks of the top row; an older one without its name where a newer one stands."""
    named: list[tuple[int, str, str]] = []
    free = width + 1
    for column, name in sorted(marks, reverse=True):
        start, text, role = _named(column, name, width)
        if max(start + len(text), column + 1) >= free or start < taken:
            start, text = column, "╷"
        if taken <= start < free:
            named.append((start, text, role))
            free = start
    return named


def _named(column: int, name: str, width: int) -> tuple[int, str, str]:
    """A mark's name beside its line, on whichever side there is room."""
    if column + len(name) + 1 <= width:
        return column, f"╷{name}", "dim"
    return max(column - len(name), 0), f"{name}╷", "dim"


def _crossed(line: Line, columns: Sequence[int]) -> Line:
    """An upright line wherever the chart leaves a cell empty."""
    text = "".join(part for part, _ in line)
    return laid_over(line, [(c, "╎", "line") for c in columns if text[c : c + 1] == " "])


def level_marks(frame: Frame, window: Window) -> list[tuple[int, str]]:
    """Columns at which a level began, with its concurrency."""
    marks = []
    for level in frame.session.levels.values():
        column = window.column(level.started)
        if column is not None:
            marks.append((column, f"{TIMES}{level.concurrency}"))
    return marks


def level_name(frame: Frame) -> str:
    """The level whose figures are shown once several have ended: its concurrency; else empty."""
    session, level = frame.session, frame.figures.level_told
    if session.ended is None or level is None or len(session.levels) < 2:
        return ""
    return f"{TIMES}{level.concurrency}"


def time_axis(window: Window, width: int, ended: bool) -> Line:
    """The axis for the lower border."""
    return axis(window.step * window.count / SECOND, width, "end" if ended else "now")
