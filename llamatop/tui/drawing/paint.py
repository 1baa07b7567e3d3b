"""Lines to strips: the last step before Textual. Knows no views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from llamatop.events.sanitize import one_line
from llamatop.tui.drawing.lines import Line, line_width

Styles = Mapping[str, Style]
"""By role, on one ground."""

Row = tuple[Line, Styles]
"""What stands in a row, and in which styles."""


def paint(line: Line, width: int, styles: Styles) -> tuple[list[Segment], int]:
    """A line as segments, of `width` cells at least, and how many they are."""
    cells = line_width(line)
    spans = line if cells >= width else (*line, (" " * (width - cells), "text"))
    segments: list[Segment] = []
    words, was = "", ""
    for text, role in spans:  # fewer segments are drawn in less time
        if role == was:
            words += text
            continue
        if words:
            segments.append(Segment(words, styles[was]))
        words, was = text, role
    if words:
        segments.append(Segment(words, styles[was]))
    return segments, max(cells, width)


class Recolours(LineFilter):
    """A filter of colours alone: it is asked once for each style, not for each text."""

    def style(self, style: Style, ground: Color) -> Style:
        """What stands for a style, on the ground of a widget."""
        raise NotImplementedError


class Painted:
    """The painted rows of a widget that draws each of its cells itself, kept until they change.

    In the place of Textual's own cache, which styles and filters every row anew for the sake of
    borders, padding and opacity; such a widget has none. A palette has true colours only, and no
    need for the filter that makes them.
    """

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._strips: dict[int, Strip] = {}
        self._made_for: tuple[Size, Sequence[LineFilter]] | None = None
        self._recoloured: list[tuple[Styles, Color, Styles]] = []
        """Styles, the ground under them, and what the filters make of these."""

    def strips(self, widget: Widget, crop: Region, row: Callable[[int], Row]) -> list[Strip]:
        """The rows in a part of the widget; `row` gives what stands at a place."""
        size, filters = made_for = widget.size, widget.get_line_filters()
        if made_for != self._made_for:
            self._rows, self._made_for, self._recoloured = {}, made_for, []
        rows = {y: row(y) for y in crop.line_range}
        changed = {y: found for y, found in rows.items() if self._rows.get(y) != found}
        if changed:
            self._rows |= changed
            _, ground = widget.background_colors
            needed = [each for each in filters if not isinstance(each, ANSIToTruecolor)]
            recolour = [each for each in needed if isinstance(each, Recolours)]
            if all(isinstance(each, Recolours | Harmless) for each in needed):  # in any order
                needed = [each for each in needed if isinstance(each, Harmless)]
            else:
                recolour = []
            for y, (line, styles) in changed.items():
                made = self._in_colours(styles, ground, recolour) if recolour else styles
                self._strips[y] = _strip((line, made), size.width, needed, ground)
        strips = [self._strips[y] for y in rows]
        if crop.column_span == (0, size.width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]

    def _in_colours(self, styles: Styles, ground: Color, filters: Sequence[Recolours]) -> Styles:
        """The styles as the filters have them, kept for as long as they are in use."""
        for known, under, made in self._recoloured:
            if known is styles and under == ground:
                return made
        made = dict(styles)
        for each in filters:
            made = {role: each.style(style, ground) for role, style in made.items()}
        self._recoloured = [*self._recoloured[-3:], (styles, ground, made)]
        return made


def _strip(row: Row, width: int, filters: Sequence[LineFilter], ground: Color) -> Strip:
    """A row of exactly `width` cells."""
    line, styles = row
    segments, cells = paint(line, width, styles)
    for each in filters:
        segments = each.apply(segments, ground)
    return Strip(segments, cells).crop(0, width)


def changed_rows(old: Sequence[Line], new: Sequence[Line]) -> list[int]:
    """Places at which two drawings of the same height differ."""
    return [y for y, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]


class Harmless(LineFilter):
    """A last net: no control character reaches the terminal, whoever drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, those with control characters cleaned."""
        if "".join([text for text, _, control in segments if not control]).isprintable():
            return segments
        return [
            segment if segment.control else Segment(one_line(segment.text), segment.style)
            for segment in segments
        ]
