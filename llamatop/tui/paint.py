"""Lines to strips: the last step before Textual. Knows no views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from llamatop.sanitize import one_line
from llamatop.tui.lines import Line, width_of


def paint(line: Line, width: int, styles: Mapping[str, Style]) -> Strip:
    """A line as a strip of exactly `width` cells."""
    segments = [Segment(text, styles[role]) for text, role in line if text]
    cells = sum(width_of(text) for text, _ in line)
    if cells < width:
        segments.append(Segment(" " * (width - cells), styles["text"]))
    strip = Strip(segments, max(cells, width))
    return strip if cells <= width else strip.crop(0, width)


def changed_rows(old: Sequence[Line], new: Sequence[Line]) -> list[int]:
    """Places at which two drawings of the same height differ."""
    return [y for y, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]


class Harmless(LineFilter):
    """A last net: no control character reaches the terminal, whoever drew it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, those with control characters cleaned."""
        if all(text.isprintable() for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(one_line(segment.text), segment.style)
            for segment in segments
        ]
