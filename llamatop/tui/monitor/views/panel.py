"""A panel's frame: rounded, with its number and title in the border, figures and axes too."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from llamatop.text.formatting import MINUS
from llamatop.tui.drawing.lines import Line, Span, fit, fitting, line_width

_NUMBERS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


class Content(msgspec.Struct, frozen=True):
    """What a panel shows inside its frame, and in the frame itself."""

    lines: Sequence[Line] = ()
    corner: Sequence[Sequence[Span]] = ()
    """At the right of the upper border: groups, most important first."""
    foot: Line = ()
    """In the lower border, as wide as the inside: an axis. Else hints, at the right."""
    hints: Sequence[Sequence[Span]] = ()
    title: str = ""
    """In place of the panel's own, where it shows something else."""


def framed(
    number: int, title: str, content: Content, width: int, height: int, *, focused: bool = False
) -> list[Line]:
    """The panel in exactly `width` by `height` cells; `focused`: keys act on it."""
    if width < 4 or height < 2:
        return [fit((), width)] * height
    inside = width - 2
    role = "focus" if focused else "line"
    lines = list(content.lines[: height - 2])
    lines += [()] * (height - 2 - len(lines))
    top = _top(number, content.title or title, content.corner, inside, focused)
    sides = [(("│", role), *fit(line, inside), ("│", role)) for line in lines]
    bottom = _bottom(content, inside)
    return (
        [_in_role(top, role), *sides, _in_role(bottom, role)] if focused else [top, *sides, bottom]
    )


def _in_role(line: Line, role: str) -> Line:
    """A border in another role than that of lines."""
    return tuple((text, role if was == "line" else was) for text, was in line)


def _top(
    number: int, title: str, corner: Sequence[Sequence[Span]], inside: int, focused: bool
) -> Line:
    """`╭─ ¹title ───── corner ─╮`; `▸` before a title that has the focus."""
    start: list[Span] = [("╭─", "line"), ("▸", "key")] if focused else [("╭─ ", "line")]
    if number:
        start.append((_NUMBERS[number], "key"))
    start += [(title, "text.bold"), (" ", "line")]
    room = inside + 1 - line_width(start) - 3
    spans = fitting(corner, room - 1)
    end: list[Span] = [(" ", "line"), *spans, (" ─╮", "line")] if spans else [("─╮", "line")]
    rule = inside + 2 - line_width(start) - line_width(end)
    if rule < 0:
        return (*fit((("╭─ " + title, "line"),), inside + 1), ("╮", "line"))
    return (*start, ("─" * rule, "line"), *end)


def _bottom(content: Content, inside: int) -> Line:
    if content.foot:
        return (("╰", "line"), *fit(content.foot, inside), ("╯", "line"))
    spans = fitting(content.hints, inside - 4)
    if not spans:
        return (("╰" + "─" * inside + "╯", "line"),)
    rule = inside - line_width(spans) - 3
    return (("╰" + "─" * rule + " ", "line"), *spans, (" ─╯", "line"))


def axis(span_seconds: float, inside: int, end: str) -> Line:
    """A time axis for the lower border: its span at the left, half of it, `end` at the right."""
    first, middle = f" {MINUS}{_seconds(span_seconds)} ", f" {MINUS}{_seconds(span_seconds / 2)} "
    last = f" {end} "
    half = inside // 2 - len(middle) // 2
    before, after = half - 1 - len(first), inside - half - len(middle) - len(last) - 1
    if before < 1 or after < 1:
        return (("─" * inside, "line"),)
    return (
        ("─", "line"),
        (first, "dim"),
        ("─" * before, "line"),
        (middle, "dim"),
        ("─" * after, "line"),
        (last, "dim"),
        ("─", "line"),
    )


def _seconds(seconds: float) -> str:
    """A span of time, short: `35 s`, `2 min`, `1.5 h`."""
    if seconds < 120:
        return f"{seconds:g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def more_rows(count: int) -> list[list[Span]]:
    """The hint that so many rows found no room."""
    return [[(f"{count} more row{'s' if count > 1 else ''}", "dim")]] if count > 0 else []
