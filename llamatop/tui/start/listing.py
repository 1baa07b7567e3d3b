"""The list of the start screen as lines: rows of fixed columns, their heading, the search."""

from __future__ import annotations

import msgspec

from llamatop.events.sanitize import one_line
from llamatop.reports.fit import Fit
from llamatop.reports.models import Choice
from llamatop.text.formatting import count, size
from llamatop.tui.compare.letters import LETTERS
from llamatop.tui.drawing.lines import Line, Span, clip, fit, left, overlay, right, width_of
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import NOTHING, TIMES
from llamatop.tui.start.answering import Answering
from llamatop.tui.start.answering import row as answering_row
from llamatop.tui.start.edit import Edit
from llamatop.tui.start.results import Result
from llamatop.tui.start.rows import Heading, Hint, Kept, Row
from llamatop.tui.start.state import Start

SIGNS = {
    "fits": ("●", "good"),
    "tight": ("◕", "warn"),
    "does not fit": ("✗", "bad"),
    "too short": ("✗", "bad"),
    "cannot load": ("✗", "bad"),
    "unknown": ("?", "dim"),
}
STATES = {
    "being recorded": ("●", "bad"),
    "stopped early": ("○", "dim"),
    "cut off": ("◔", "warn"),
    "damaged": ("✗", "bad"),
    "failed": ("✗", "bad"),
}
"""Of recordings that did not come to their end."""

_SHORT = {"does not fit": "too big", "too short": "context", "cannot load": "broken"}
_SEARCH = "type to search, or a Hugging Face id, a folder, a server"
_MARK = 2
"""Cells before a name."""


class Columns(msgspec.Struct, frozen=True):
    """Cells for each part of a row; 0: left out."""

    name: int
    parameters: int
    weights: int
    context: int
    needs: int
    fit: int

    @property
    def when(self) -> int:
        """For the time of a recording: what a model has behind its weights."""
        return self.context + self.needs + self.fit


def columns_of(width: int) -> Columns:
    """What a list of so many cells shows: name and fit always."""
    roomy = width >= 96
    parts = (
        (10 if roomy else 7) if width >= 52 else 0,
        (11 if roomy else 9) if width >= 44 else 0,
        (13 if roomy else 8) if width >= 68 else 0,
        11 if roomy else 0,
        18 if roomy else 12 if width >= 60 else 4,
    )
    return Columns(max(width - _MARK - sum(parts), 1), *parts)


def content(start: Start, width: int) -> Content:
    """The search and the names of the columns; how much there is in the corner."""
    corner: list[list[Span]] = [_counted(len(start.listing.choices), "model")]
    corner.append(_counted(len(start.listing.kept), "recording"))
    if start.looking & {"models", "recordings"}:
        corner = [[("looking…", "dim")]]
    return Content([_search(start, width), heading(width)], corner=corner)


def _counted(number: int, what: str) -> list[Span]:
    return [(f"{number:,}", "text"), (f" {what}{'' if number == 1 else 's'}", "dim")]


def _search(start: Start, width: int) -> Line:
    typing = not start.in_form
    line: list[Span] = [(" / ", "key.bold" if typing else "dim")]
    line += typed(start.listing.search, width - 4, typing)
    if not start.listing.search.text:
        line.append((clip(" " + _SEARCH, width - 5), "dim"))
    return tuple(line)


def typed(edit: Edit, width: int, active: bool, role: str = "text") -> list[Span]:
    """A text that is being typed in at most `width` cells, its caret as a block."""
    if not active:
        return [(clip(edit.text, width), role)]
    if edit.whole and edit.text:
        return [(clip(edit.text, width), "key.badge")]
    start = max(edit.caret - max(width - 1, 0), 0)
    before, rest = edit.text[start : edit.caret], edit.text[edit.caret :]
    while before and width_of(before) > width - 1:
        before = before[1:]
    under, after = rest[:1] or " ", clip(rest[1:], max(width - width_of(before) - 1, 0))
    return [(before, role), (under, "key.badge"), (after, role)]


def heading(width: int) -> Line:
    """The names of the columns."""
    shape = columns_of(width)
    names = " " * _MARK + left("name", shape.name)
    for name, cells in (
        ("params", shape.parameters),
        ("weights", shape.weights),
        ("context", shape.context),
        ("needs", shape.needs),
    ):
        names += right(name, cells) if cells else ""
    return ((names + left("  fit" if shape.fit > 4 else " fit", shape.fit), "dim"),)


def row_line(start: Start, row: Row, width: int, chosen: bool) -> Line:
    """One row in exactly `width` cells; `chosen`: Enter would take it."""
    bar: Span = ("▸" if chosen else " ", "key")
    match row:
        case Heading():
            rule = "─" * max(width - width_of(row.text) - 3, 0)
            return fit(((f" {row.text} ", "dim"), (rule, "line")), width)
        case Hint():
            return fit(((" " * _MARK, "text"), (row.text, "faint")), width)
        case Kept():
            result = start.results.get(row.path)
            told = _recording(row, start.listing.search.text, columns_of(width), result)
            return fit((_marked(start, row) or bar, (" ", "text"), *told), width)
        case Answering():
            return fit((bar, *answering_row(row, width)), width)
        case Choice():
            told = _model(row, start.fit(row), start.listing.search.text, columns_of(width))
            return fit((bar, *told), width)


def _model(choice: Choice, found: Fit | None, query: str, shape: Columns) -> list[Span]:
    verdict = found.verdict if found is not None else ""
    role = "dim" if SIGNS.get(verdict, ("", ""))[1] == "bad" else "text"
    spans: list[Span] = [(" ", "text"), *_name(choice.model, query, shape.name, role)]
    for told, cells in (
        (count(choice.parameters) if choice.parameters else NOTHING, shape.parameters),
        (size(choice.weights_bytes) if choice.weights_bytes else NOTHING, shape.weights),
        (_tokens(choice.context, shape.context), shape.context),
        (size(found.needed) if found and found.needed else NOTHING, shape.needs),
    ):
        if cells:
            spans.append((right(told, cells), role))
    return [*spans, *_mark(verdict, shape.fit)]


def _tokens(context: int | None, cells: int) -> str:
    """A context to the token where there is room."""
    if context is None:
        return NOTHING
    exact = f"{context:,}"
    return exact if len(exact) < cells else count(context)


def _mark(verdict: str, cells: int) -> list[Span]:
    if not verdict:
        return []
    sign, role = SIGNS[verdict]
    told = verdict if cells > 12 else _SHORT.get(verdict, verdict)
    if cells < 9:
        return [("  ", "text"), (sign, role)]
    return [("  ", "text"), (f"{sign} ", role), (told, "dim" if role == "good" else role)]


def _marked(start: Start, kept: Kept) -> Span | None:
    """The letter under which a recording will be compared."""
    if kept.path not in start.marked:
        return None
    return LETTERS[start.marked.index(kept.path)], "key.bold"


def _recording(kept: Kept, query: str, shape: Columns, result: Result | None) -> list[Span]:
    when = f"{kept.started:%Y-%m-%d %H:%M}"
    levels = f"{TIMES}{result.levels}" if result and result.levels else ""
    told = "  ".join(filter(None, (kept.model, kept.engine, levels)))
    if width_of(told) > shape.name:  # its owner tells less than what ran
        told = "  ".join(filter(None, (kept.model.rpartition("/")[2], kept.engine, levels)))
    spans: list[Span] = _name(told, query, shape.name, "text")
    rate, cells = result.rate if result else "", shape.parameters + shape.weights
    if shape.weights:
        spans.append((right(rate or size(kept.bytes), cells), "text" if rate else "dim"))
    if shape.when < 18:
        return spans
    spans.append((right(when, shape.when - (shape.fit if shape.needs else 3)), "dim"))
    state = "failed" if result and result.failed else kept.state
    sign, role = STATES.get(state, ("", "dim"))
    return [
        *spans,
        (f"{'  ' if shape.needs else ' '}{sign} ", role),
        (state if sign and shape.needs else "", role),
    ]


def _name(name: str, query: str, cells: int, role: str) -> list[Span]:
    """A name with what was searched for marked, and blanks up to its column's end."""
    name = clip(one_line(name), cells)
    folded = name.casefold()
    marks: list[tuple[int, str, str]] = []
    for word in query.casefold().split() if len(folded) == len(name) else ():
        place = folded.find(word)
        if place >= 0:
            marks.append((place, name[place : place + len(word)], "key"))
    return [*overlay(name, role, marks), (" " * (cells - width_of(name)), role)]
