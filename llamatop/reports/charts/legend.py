"""How a legend is set: its columns, the size of its letters, and what finds no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.lines import Line2D

from llamatop.reports.charts.fonts import inches
from llamatop.reports.charts.wrap import fitting

LABEL = 3.0
"""Inches that a label may take."""

_LETTERS, _SMALL = 9.0, 7.5
"""Points of the letters, and of those of a legend that would be too high."""

_NARROW = 4
"""Columns of a small legend at most: its labels must stay readable."""

_ROW, _BESIDE = 0.17 / 9, 0.69 / 9
"""Inches that a row takes, and what stands beside a label, for each point of the letters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend."""

    handle: Line2D
    label: str
    series: bool
    """One of many alike: where there is no room for all, it may be left out."""


@dataclass(frozen=True, slots=True)
class Legend:
    """A legend as it is set: its entries column by column."""

    entries: Sequence[Entry]
    columns: int
    size: float
    """Points of its letters."""

    @property
    def height(self) -> float:
        """Inches."""
        return _ROW * self.size * -(-len(self.entries) // self.columns)


def legend(entries: Sequence[Entry], width: float, height: float) -> Legend:
    """The entries within so many inches; where they are many, small, or not all of them."""
    usual = _cut(entries, _LETTERS, LABEL)
    widest = max((inches(entry.label, _LETTERS) for entry in usual), default=1)
    columns = max(1, min(len(usual), int(width / (widest + _BESIDE * _LETTERS))))
    found = Legend(usual, columns, _LETTERS)
    return found if found.height <= height else _small(entries, width, height)


def _small(entries: Sequence[Entry], width: float, height: float) -> Legend:
    """In as many columns as all need; in fewer where their labels could not be told apart."""
    rows = int(height / (_ROW * _SMALL))
    columns = min(-(-len(entries) // rows), _NARROW)
    while True:
        room = min(width / columns - _BESIDE * _SMALL, LABEL)
        kept = _cut(_fewer(entries, rows * columns), _SMALL, room)
        if columns == 1 or len({entry.label for entry in kept}) == len(kept):
            return Legend(kept, columns, _SMALL)
        columns -= 1


def _cut(entries: Sequence[Entry], size: float, room: float) -> list[Entry]:
    """The entries, their labels within the room (inches)."""
    return [
        replace(entry, label=fitting(entry.label, lambda text: inches(text, size), room))
        for entry in entries
    ]


def _fewer(entries: Sequence[Entry], most: int) -> list[Entry]:
    """So many at most: the first of the series, how many more there are, and all others."""
    if len(entries) <= most:
        return list(entries)
    series, others = [e for e in entries if e.series], [e for e in entries if not e.series]
    kept = series[: max(most - 1 - len(others), 0)]
    more = Entry(Line2D([], [], linestyle="none"), f"and {len(series) - len(kept)} more", False)
    return [*kept, more, *others]
