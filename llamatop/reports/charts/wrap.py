"""Texts cut and broken to the room there is. Measures by what it is given; knows no figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llamatop.events.sanitize import one_line
from llamatop.reports.runs import short

LINES = 4
"""Lines of a caption."""

DOT = " · "

Measure = Callable[[str], float]


def wrapped(facts: Sequence[str], measure: Measure, room: float) -> list[str]:
    """The facts in lines, divided between facts only; what finds no room becomes `…`."""
    lines: list[str] = [""]
    for fact in facts:
        text = fitting(fact, measure, room)
        joined = lines[-1] + DOT + text if lines[-1] else text
        if measure(joined) > room:
            lines.append(text)
        else:
            lines[-1] = joined
    if len(lines) > LINES:
        lines[LINES - 1 :] = [fitting(f"{lines[LINES - 1]}{DOT}…", measure, room)]
    return lines


def fitting(text: str, measure: Measure, room: float) -> str:
    """A text with as much of its middle left out as the room asks."""
    text = short(printable(text), 200)
    while len(text) > 3 and (width := measure(text)) > room:
        text = short(text, max(min(len(text) - 1, int(len(text) * room / width)), 3))
    return text


def printable(text: str) -> str:
    """One line in which nothing is invisible: an SVG must stay valid XML."""
    return "".join(c if c.isprintable() else "\ufffd" for c in one_line(text))
