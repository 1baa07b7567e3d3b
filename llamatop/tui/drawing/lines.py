"""Lines of text with roles: what the views make and the widgets paint.

A line is a tuple of spans, a span is a text and the role it plays (see `palette`). Knows cells
and widths; nothing of colours, sessions or widgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""A text without line ends, and the role it plays."""

Line = tuple[Span, ...]

ELLIPSIS = "…"


def width_of(text: str) -> int:
    """Cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def line_width(line: Iterable[Span]) -> int:
    """Cells that a line takes."""
    cells = 0
    for text, _ in line:  # a thousand a frame
        cells += len(text) if text.isascii() else cell_len(text)
    return cells


def clip(text: str, width: int) -> str:
    """The start of a text, with an ellipsis where something is cut off."""
    if width_of(text) <= width:
        return text
    if width < 1:
        return ""
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def shortened(text: str, width: int) -> str:
    """As many of a text's parts (two blanks between them) as fit, else the first one's start.

    The start ends with a whole word where one ends in its second half.
    """
    parts = text.split("  ")
    while len(parts) > 1 and width_of("  ".join(parts)) > width:
        parts.pop()
    text = "  ".join(parts)
    start = clip(text, width)
    if start == text or text.startswith(start.removesuffix(ELLIPSIS) + " "):
        return start
    words = start.rpartition(" ")[0].rstrip(" .,;:(")
    return words + ELLIPSIS if 2 * width_of(words) > width else start


def tail(text: str, width: int) -> str:
    """The end of a text that fits, with nothing in place of what is cut off."""
    text = text[-width:] if width > 0 else ""
    while width_of(text) > width:
        text = text[1:]
    return text


def left(text: str, width: int) -> str:
    """Exactly `width` cells, text at the left, clipped."""
    if text.isascii() and len(text) <= width:
        return text.ljust(width)
    clipped = clip(text, width)
    return clipped + " " * (width - width_of(clipped))


def right(text: str, width: int) -> str:
    """Exactly `width` cells, text at the right, clipped."""
    if text.isascii() and len(text) <= width:
        return text.rjust(width)
    clipped = clip(text, width)
    return " " * (width - width_of(clipped)) + clipped


def fit(line: Iterable[Span], width: int) -> Line:
    """The line in exactly `width` cells: filled up with blanks or cut off."""
    fitted: list[Span] = []
    room = width
    for text, role in line:
        cells = len(text) if text.isascii() else cell_len(text)
        if cells > room:
            fitted.append((set_cell_size(text, room), role))
            room = 0
            break
        fitted.append((text, role))
        room -= cells
    if room:
        fitted.append((" " * room, "text"))
    return tuple(fitted)


def clipped(line: Sequence[Span], width: int) -> Line:
    """As `fit`, with an ellipsis where words are cut off."""
    if line_width(line) <= width or width < 1:
        return fit(line, width)
    return (*fit(line, width - 1), (ELLIPSIS, "dim"))


def spread(start: Sequence[Span], end: Sequence[Span], width: int) -> Line:
    """One line, `start` at its left and `end` at its right; where both do not fit `end` is kept."""
    tail_cells = line_width(end)
    if tail_cells >= width:
        return fit(end, width)
    return (*fit(start, width - tail_cells), *end)


def join(parts: Iterable[Sequence[Span]], gap: str = "  ") -> list[Span]:
    """Groups of spans with a gap between them; empty groups vanish."""
    joined: list[Span] = []
    for part in parts:
        if part:
            joined += [(gap, "text"), *part] if joined else part
    return joined


def fitting(parts: Sequence[Sequence[Span]], width: int, gap: str = "  ") -> list[Span]:
    """As many of the groups, most important first, as fit into `width` cells."""
    kept: list[Sequence[Span]] = []
    for part in parts:
        if line_width(join([*kept, part], gap)) <= width:
            kept.append(part)
    return join(kept, gap)


def laid_over(line: Line, marks: Iterable[tuple[int, str, str]]) -> Line:
    """A line of one-cell characters with others in place of some: (place, text, role)."""
    cells = [(char, role) for text, role in line for char in text]
    for place, mark, mark_role in marks:
        if place >= 0 and place + len(mark) <= len(cells):
            cells[place : place + len(mark)] = [(char, mark_role) for char in mark]
    runs = groupby(cells, key=itemgetter(1))
    return tuple(("".join(char for char, _ in run), role) for role, run in runs)


def overlay(text: str, role: str, marks: Iterable[tuple[int, str, str]]) -> Line:
    """A text with others laid over it: (place, text, role), each cell one character wide."""
    spans: list[Span] = []
    at = 0
    for place, mark, mark_role in sorted(marks):
        if place < at or place + len(mark) > len(text):
            continue
        if place > at:
            spans.append((text[at:place], role))
        spans.append((mark, mark_role))
        at = place + len(mark)
    if at < len(text):
        spans.append((text[at:], role))
    return tuple(spans)


def centred(lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """The lines in the middle of an empty space."""
    above = max((height - len(lines)) // 2, 0)
    padded = [(((" " * max((width - line_width(line)) // 2, 0)), "text"), *line) for line in lines]
    return [()] * above + padded[:height]
