"""How far the figures are apart: one run against the baseline in full, or all of them, compact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llamatop.text.formatting import MINUS, UNKNOWN
from llamatop.tui.compare.header import looked_at
from llamatop.tui.compare.judging import NOT_COMPARED, OPEN, SIGNS, Row
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing.charts import ceiling
from llamatop.tui.drawing.lines import Line, Span, fit, laid_over, left, right
from llamatop.tui.monitor.views.panel import Content, more_rows

_FIGURE = 13
_ROOMY = 92
"""Cells from which on the columns stand further apart."""

_VERDICT = 19

_LEAST_CHART = 20
_WIDEST_CHART = 61

_VALUE, _COLUMN = 9, 11
"""Cells of the baseline and of another run's change in the compact table."""

_VARIES = "varies"
"""The baseline's value where runs share other levels with it."""


def differences(comparing: Comparing, width: int, height: int) -> Content:
    """The table; what is not known yet is being computed."""
    if comparing.problem:
        return Content([((f" {comparing.problem}", "bad"),)])
    if comparing.focus is not None:
        head, body = _full(comparing, comparing.focus, width)
    else:
        head, body = _compact(comparing, width)
    room = max(height - 1, 0)
    comparing.scrolled = min(comparing.scrolled, max(len(body) - room, 0))
    shown = body[comparing.scrolled : comparing.scrolled + room]
    more = len(body) - comparing.scrolled - len(shown)
    corner = [looked_at(comparing), _against(comparing)]
    return Content([head, *shown], corner=corner, hints=[*more_rows(more), _legend(comparing)])


def rows_wished(comparing: Comparing) -> int:
    """Rows that the whole table would fill."""
    return 1 + max(1, *(len(comparing.rows(i)) for i in range(len(comparing.judged))))


def _against(comparing: Comparing) -> list[Span]:
    if comparing.focus is None:
        return [("against A", "dim")]
    return [(f"{comparing.tapes[comparing.focus + 1].letter} against A", "dim")]


def _legend(comparing: Comparing) -> list[Span]:
    if comparing.focus is not None:
        return (
            [("95 %; others than the headline together", "dim")] if not comparing.computing else []
        )
    told = (("▲", "faster"), ("▼", "slower"), ("=", "same"), ("?", "undecided"))
    roles = {"▲": "good", "▼": "bad"}
    return [
        span
        for sign, word in told
        for span in ((sign, roles.get(sign, "dim")), (f" {word}  ", "dim"))
    ]


class _Widths(NamedTuple):
    """Cells of the columns of a full row."""

    value: int
    change: int
    between: int
    gap: int
    chart: int
    """The picture of the interval; 0: no room, or no interval is known."""


def _widths(width: int, drawn: bool) -> _Widths:
    """`drawn`: there are intervals to be pictured."""
    value, change, between, gap = (11, 12, 21, 3) if width >= _ROOMY else (7, 9, 20, 2)
    room = width - (_FIGURE + 2 * value + 1 + change + between + gap + _VERDICT) - 2
    chart = min(room, _WIDEST_CHART) if drawn and room >= _LEAST_CHART else 0
    return _Widths(value, change, between, gap, chart - (chart + 1) % 2 if chart else 0)


def _full(comparing: Comparing, other: int, width: int) -> tuple[Line, list[Line]]:
    """A row a figure: both values, the change, its interval, the verdict, and its picture."""
    letter, rows = comparing.tapes[other + 1].letter, comparing.rows(other)
    drawn = any(row.low is not None for row in rows)
    cells, top = _widths(width, drawn), _reach(rows)
    words = (
        left(" figure", _FIGURE) + right("A", cells.value) + right(letter, cells.value + 1)
        + right("change", cells.change) + right("between", cells.between)
        + " " * cells.gap + left("verdict", _VERDICT)
    )  # fmt: skip
    head: list[Span] = [(words, "dim")]
    if cells.chart:
        head.append((_scale(top, cells.chart), "dim"))
    return tuple(head), [_row(row, cells, top) for row in rows] or [_nothing(comparing, other)]


def _row(row: Row, cells: _Widths, top: float) -> Line:
    _, role = SIGNS[row.verdict]
    shown = row.verdict not in (*OPEN, NOT_COMPARED)
    line: list[Span] = [
        (left(f" {row.figure}", _FIGURE), "text"),
        (right(row.baseline, cells.value), "text"),
        (right(row.other, cells.value + 1), "text"),
        (right(row.change, cells.change), f"{role}.bold" if shown else "text"),
        (right(row.between, cells.between), "text" if row.low is not None else "dim"),
        (" " * cells.gap, "text"),
        (left(row.verdict, _VERDICT), role),
    ]
    return (*line, *(_interval(row, cells.chart, top) if cells.chart else ()))


def _reach(rows: Sequence[Row]) -> float:
    """The change (a share) at the edges of the picture."""
    bounds = [abs(b) for row in rows for b in (row.low, row.high) if b is not None]
    return min(ceiling(max(bounds, default=0.1)), 3.0)


def _scale(top: float, cells: int) -> str:
    """The picture's axis: its edges and no change between."""
    edge = f"{top * 100:g} %"
    half = cells // 2
    return left(f"{MINUS}{edge}", half) + "0" + right(f"+{edge}", half)


def _interval(row: Row, cells: int, top: float) -> Line:
    """Where the change lies: its interval as a line, itself as a dot, no change as an upright."""
    line: Line = ((" " * cells, "text"),)
    half = cells // 2
    _, role = SIGNS[row.verdict]

    def place(share: float) -> int:
        return half + round(min(max(share / top, -1.0), 1.0) * half)

    line = laid_over(line, [(half, "┊", "line")])
    if row.low is None or row.high is None or row.point is None:
        return line
    low, high = place(row.low), place(row.high)
    line = laid_over(line, [(low, "━" * (high - low + 1), role)])
    mark = "●" if abs(row.point) <= top else "▸" if row.point > 0 else "◂"
    return laid_over(line, [(place(row.point), mark, role)])


def _nothing(comparing: Comparing, other: int) -> Line:
    if comparing.judged[other] is None:
        return ((f" {comparing.awaited}", "dim"),)
    return ((" nothing to compare: no level in common", "warn"),)


def _compact(comparing: Comparing, width: int) -> tuple[Line, list[Line]]:
    """A row a figure: the baseline's value, and every other run's change."""
    count = len(comparing.judged)
    tables = [{row.figure: row for row in comparing.rows(other)} for other in range(count)]
    figures = list(dict.fromkeys(figure for table in tables for figure in table))
    wide = _FIGURE + _VALUE + count * (_COLUMN + _VALUE + 1) <= width
    cells = _COLUMN + (_VALUE + 1 if wide else 0)
    letters = [tape.letter for tape in comparing.tapes]
    head = left(" figure", _FIGURE) + right("A", _VALUE)
    head += "".join(right(letter, cells) for letter in letters[1:])
    lines = [_compact_row(figure, tables, wide) for figure in figures]
    return ((head, "dim"),), lines or [((" computing…", "dim"),)]


def _compact_row(figure: str, tables: Sequence[dict[str, Row]], wide: bool) -> Line:
    known = {table[figure].baseline for table in tables if figure in table} - {UNKNOWN}
    baseline = UNKNOWN if not known else known.pop() if len(known) == 1 else _VARIES
    line: list[Span] = [
        (left(f" {figure}", _FIGURE), "text"),
        (right(baseline, _VALUE), "dim" if baseline == _VARIES else "text"),
    ]
    for table in tables:
        line += _cell(table.get(figure), wide)
    return tuple(line)


def _cell(row: Row | None, wide: bool) -> Line:
    if row is None:
        return fit((), _COLUMN + (_VALUE + 1 if wide else 0))
    sign, role = SIGNS[row.verdict]
    value: list[Span] = [(right(row.other, _VALUE + 1), "text")] if wide else []
    return (*value, (right(row.change, _COLUMN - 2), role), (f" {sign}", role))
