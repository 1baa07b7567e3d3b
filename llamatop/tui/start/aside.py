"""What stands beside the list: settings, what they need of the memory, a recording's facts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from textwrap import wrap

from llamatop.events.sanitize import one_line
from llamatop.reports.models import Choice
from llamatop.text.formatting import size
from llamatop.tui.drawing.lines import Line, Span, clip, fit, left, line_width
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import TIMES
from llamatop.tui.start.answering import Answering, facts
from llamatop.tui.start.command import wrapped
from llamatop.tui.start.form import FIELDS, Field
from llamatop.tui.start.listing import STATES, typed
from llamatop.tui.start.memory import verdict
from llamatop.tui.start.rows import Kept
from llamatop.tui.start.state import Start

LABEL = 13
"""Cells before a field's value."""

_FULL = len(FIELDS)


def settings(start: Start, width: int, height: int) -> Content:
    """The fields, a row each where there is room, else side by side; Content of the panel."""
    if isinstance(start.selected, Kept):
        result = start.results.get(start.selected.path)
        return Content(recording(start.selected, width, result.lines if result else ()))
    if isinstance(start.selected, Answering):
        return Content(facts(start.selected, LABEL, width))
    problems = start.problems()
    if height >= _FULL:
        rows = [field_line(start, field, problems, width) for field in start.form.fields]
        return Content([*rows, *_told(start, problems, width, height - _FULL)])
    shown, per = places(height)
    fields = start.form.fields
    columns = [fields[first : first + shown] for first in range(0, _FULL, shown)]
    blocks = [_column(start, column, problems, width // per) for column in columns]
    lines = [tuple(chain.from_iterable(row)) for row in zip_longest(*blocks, fillvalue=())]
    return Content(lines, corner=_corner(start), hints=[_hint(start, problems)])


def places(height: int) -> tuple[int, int]:
    """Rows of the form, and fields in each, in a panel with `height` rows inside."""
    rows = max(min(height, _FULL), 1)
    return rows, -(-_FULL // rows)


def field_at(x: int, y: int, width: int, height: int) -> int | None:
    """The field that is drawn at a place inside the panel."""
    rows, per = places(height)
    column = 0 if per == 1 else min(x // max(width // per, 1), per - 1)
    place = column * rows + y
    return place if 0 <= y < rows and x >= 0 and place < _FULL else None


def field_line(start: Start, field: Field, problems: dict[str, str], width: int) -> Line:
    """A field with its label, and what is to be said of it."""
    here = start.in_form and start.form.field is field
    label = _label(field, here, LABEL - 2)
    spans = [*label, *_value(start, field, here, field.name in problems)]
    room = width - line_width(spans) - 3
    note, role = _note(start, field, problems)
    if here and not field.options:
        room -= 1
    return fit((*spans, ("  ", "text"), (clip(note, max(room, 0)), role)), width)


def _column(
    start: Start, fields: Sequence[Field], problems: dict[str, str], width: int
) -> list[Line]:
    """Fields one below the other, their values too."""
    longest, rows = max(len(field.name) for field in fields), []
    for field in fields:
        here = start.in_form and start.form.field is field
        value = _value(start, field, here, field.name in problems)
        rows.append(fit((*_label(field, here, longest), *value), width))
    return rows


def _label(field: Field, here: bool, width: int) -> list[Span]:
    return [("▸" if here else " ", "key"), (left(field.name, width), "key" if here else "dim")]


def _value(start: Start, field: Field, here: bool, bad: bool) -> list[Span]:
    text = start.form.text(field)
    role = "bad" if bad else "text.bold" if here else "text"
    if field.options:
        sides = ("←", "→") if here else (" ", " ")
        return [(sides[0], "key"), (one_line(text), role), (sides[1], "key")]
    value = typed(start.form.edits[field.name], 20, here, role)
    if not text and field.name in _EMPTY:
        told = _unbounded(start) if field.name == "requests" else _EMPTY[field.name]
        value.append((" " * here + told, "dim"))
    return [(" ", "text"), *value]


_UNITS = {"prompt": "tokens", "output": "tokens", "timeout": "s without a token"}

_EMPTY = {
    "requests": "",
    "model": "its only one",
    "tokenizer": "none",
    "key": "OPENAI_API_KEY",
}
"""What an empty field comes to."""


def _unbounded(start: Start) -> str:
    """What runs when no number of requests is given."""
    levels = len(start.form.edits["concurrency"].text.split())
    return "until stopped" if levels < 2 else f"4 {TIMES} each"


def _note(start: Start, field: Field, problems: dict[str, str]) -> tuple[str, str]:
    """What is said behind a value, and in which role."""
    if field.name in problems:
        return problems[field.name], "bad"
    choice = start.selected
    if field.name == "weights" and isinstance(choice, Choice):
        return _weights_note(choice, start.form.picked["weights"]), "dim"
    if field.name in _UNITS:
        return _UNITS[field.name], "dim"
    if field.name == "concurrency":
        levels = len(start.form.edits["concurrency"].text.split())
        return ("in flight" if levels < 2 else f"{levels} levels"), "dim"
    if field.name == "quantize":
        bits = {"int8": "8 bits a weight", "int4": "4 bits a weight"}
        return bits.get(start.form.text(field), ""), "dim"
    return _auto_note(start, field), "dim"


def _auto_note(start: Start, field: Field) -> str:
    """What `auto` comes to, as far as it is known."""
    if start.form.text(field) != "auto":
        return ""
    if field.name == "device" and start.machine is not None:
        return start.machine.gpus[0].name if start.machine.gpus else "cpu"
    return {"engine": "as suits the device", "dtype": "as the checkpoint"}.get(field.name, "")


def _weights_note(choice: Choice, weights: str) -> str:
    if weights == "random":
        return "noise as text"
    if choice.source == "built-in":
        return f"downloads {size(choice.weights_bytes)}"
    return "downloads if need be" if choice.source in ("typed", "given") else "trained"


def _hint(start: Start, problems: dict[str, str]) -> list[Span]:
    """A line on the field that keys go to, or on the first that is wrong."""
    field = start.form.field
    if start.in_form and field.name not in problems:
        drawn = field.told.endswith(", exactly") and not start.form.text(field).strip().isdigit()
        told = field.told.removesuffix(", exactly") + ", drawn for each" if drawn else field.told
        return [(told, "dim")]
    return _problem(start, problems)


def _problem(start: Start, problems: dict[str, str]) -> list[Span]:
    """What is wrong with the field that keys go to, else with the first that is wrong."""
    name = start.form.field.name if start.in_form else ""
    name = name if name in problems else next(iter(problems), "")
    return [(f"{name}: {problems[name]}", "bad")] if name else []


def _told(start: Start, problems: dict[str, str], width: int, height: int) -> list[Line]:
    """The same in the last rows of the panel."""
    lines: list[Line] = [()]
    for text, role in _hint(start, problems):
        lines += [((" " + part, role),) for part in wrap(text, max(width - 2, 8))]
    return lines[:height]


def _corner(start: Start) -> Sequence[Sequence[Span]]:
    """The verdict, where there is no panel for it."""
    choice = start.selected
    found = start.fit(choice) if isinstance(choice, Choice) and not start.faulty else None
    if found is None:
        return []
    told = [verdict(start, found)]
    if found.needed:
        told.append([(f"{size(found.needed)} of {size(found.available)}", "dim")])
    return told


def recording(kept: Kept, width: int, result: Sequence[str] = ()) -> list[Line]:
    """What is known of a recording before it is opened; long texts in several lines.

    `result`: how its run ended, and what each level gave.
    """
    state = {
        "stopped early": "stopped early: before all that was asked for was done",
        "cut off": "cut off; recovered when opened",
        "damaged": "damaged: its end cannot be read",
        "being recorded": "being recorded now: Enter follows it live",
    }.get(kept.state, kept.state)
    sign = STATES.get(kept.state, ("", ""))[0]
    facts = (
        *zip_longest(["result"], result, fillvalue=""),
        ("model", kept.model),
        ("state", f"{sign} {state}".strip()),
        ("started", f"{kept.started:%Y-%m-%d %H:%M:%S}"),
        ("engine", kept.engine),
        ("size", size(kept.bytes)),
        ("events", f"{kept.events:,}" if kept.events is not None else ""),
        ("file", kept.path.name),
        ("folder", str(kept.path.parent)),
    )
    room, lines = max(width - LABEL - 1, 1), list[Line]()
    for name, text in ((name, text) for name, text in facts if text):
        parts = wrap(one_line(text), room, break_on_hyphens=False)
        for label, part in zip_longest([name], parts, fillvalue=""):
            lines.append(((left(f" {label}", LABEL), "dim"), (clip(part, room), "text")))
    return lines


def command(start: Start, width: int, height: int) -> Content:
    """The command line that does the same."""
    parts = start.command()
    if not parts:
        why = _problem(start, start.problems()) or [("nothing is chosen", "dim")]
        return Content([((" ", "text"), *why)])
    lines = wrapped(parts, width - 4)[:height]
    return Content(
        [
            ((" $ " if not place else "   ", "key"), (clip(line, width - 4), "text"))
            for place, line in enumerate(lines)
        ]
    )
