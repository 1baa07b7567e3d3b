"""Values, where each comes from and how old it is, in three columns that give way to the width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from llamatop.events.sanitize import one_line
from llamatop.reports.origins import PARTED, Origin
from llamatop.text.cells import cells
from llamatop.text.formatting import UNKNOWN
from llamatop.tui.drawing.lines import Line, clipped, left
from llamatop.tui.monitor.views.panel import Content, more_rows

_VALUE = 24
"""Cells of the values' column at most: what is longer has its source below it."""


def origin_lines(origins: Sequence[Origin], width: int) -> list[Line]:
    """A row each; where a source has no room beside its value, it stands below it."""
    name = max((cells(one.name) for one in origins), default=0) + 2
    values = (cells(one.value) for one in origins if one.source)
    value = min(max(values, default=0), _VALUE) + 2
    return [line for one in origins for line in _lines(one, name, value, width)]


def _lines(one: Origin, name: int, value: int, width: int) -> list[Line]:
    if one == PARTED:
        return [()]
    shown, source = one_line(one.value), one_line(one.source)
    role = "dim" if shown == UNKNOWN else "text"
    first: Line = ((left(f" {one.name}", name), "dim"), (shown, role))
    if not source:
        return [clipped(first, width)]
    if cells(shown) < value and cells(source) < width - name - value:
        return [clipped((first[0], (left(shown, value), role), (source, "faint")), width)]
    rows = textwrap.wrap(source, max(width - name - 1, 1))
    return [
        clipped(first, width),
        *(clipped(((" " * name, "text"), (row, "faint")), width) for row in rows),
    ]


def origins_content(
    origins: Sequence[Origin], first: int, width: int, height: int, title: str = ""
) -> Content:
    """The rows from `first` on, or the last that fill the height."""
    lines = origin_lines(origins, width)
    start = min(first, max(len(lines) - height, 0))
    left_over = len(lines) - start - height
    return Content(lines[start : start + height], hints=more_rows(left_over), title=title)


def last_first(origins: Sequence[Origin], width: int, height: int) -> int:
    """The row with which the last ones fill the height."""
    return max(len(origin_lines(origins, width)) - height, 0)
