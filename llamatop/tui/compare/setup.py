"""What differs in the set-up of the runs, and what makes their comparison unfair."""

from __future__ import annotations

from textwrap import wrap

from llamatop.reports.runs import short
from llamatop.text.formatting import UNKNOWN
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing.lines import Line, Span, left
from llamatop.tui.monitor.views.panel import Content, more_rows

_FACT = 20
"""Cells of a fact's name."""


def setup(comparing: Comparing, width: int, height: int) -> Content:
    """The facts that differ, a column a run, then the warnings; those never give way wholly."""
    facts, told = _facts(comparing, width), _warnings(comparing, width)
    corner = [_counted(comparing), *([] if not told else [_unfair(comparing)])]
    if comparing.maximised != "set-up":
        kept = max(min(len(told), height // 2), height - len(facts), 0)
        lines = [*facts[: height - min(len(told), kept)], *told[:kept]]
        more = len(facts) + len(told) - len(lines)
    else:
        last = max(len(facts) + len(told) - height, 0)
        comparing.scrolled = min(comparing.scrolled, last)
        lines = [*facts, *told][comparing.scrolled :]
        more = len(lines) - height
    return Content(lines, corner=corner, hints=more_rows(more))


def rows_wished(comparing: Comparing, width: int) -> int:
    """Rows that all of it would fill."""
    return len(_facts(comparing, width)) + len(_warnings(comparing, width))


def _counted(comparing: Comparing) -> list[Span]:
    count = len(comparing.setup)
    told = f"{count} fact differs" if count == 1 else f"{count} facts differ"
    return [(told if count else "the same", "text" if count else "dim")]


def _unfair(comparing: Comparing) -> list[Span]:
    shown = [j for i, j in enumerate(comparing.judged) if comparing.focus in (None, i)]
    count = sum(len(judged.warnings) for judged in shown if judged is not None)
    return [(f"{count} warning{'' if count == 1 else 's'}", "warn")] if count else []


def _facts(comparing: Comparing, width: int) -> list[Line]:
    if not comparing.setup:
        return [((" nothing that is known differs", "dim"),)]
    count = len(comparing.tapes)
    name = min(_FACT, width // 3)
    longest = max(len(value or UNKNOWN) for _, values in comparing.setup for value in values)
    cells = max(min((width - name) // count, longest + 3), 4)
    letters = "".join(left(tape.letter, cells) for tape in comparing.tapes)
    lines: list[Line] = [((" " * name, "text"), (letters, "key.bold"))]
    for fact, values in comparing.setup:
        told = [left(short(value or UNKNOWN, max(cells - 2, 3)), cells) for value in values]
        lines.append(((left(f" {fact}", name), "dim"), ("".join(told), "text")))
    return lines


def _warnings(comparing: Comparing, width: int) -> list[Line]:
    """Each with the letter of its run, where there are several."""
    if comparing.trial is None and comparing.computing and not any(comparing.judged):
        return [((" computing what is unfair…", "dim"),)]
    lines: list[Line] = []
    for other, judged in enumerate(comparing.judged):
        if comparing.focus not in (None, other):
            continue
        tape = comparing.tapes[other + 1]
        whose = "" if comparing.pair else f"{tape.letter} "
        for warning in judged.warnings if judged is not None else ():
            first, *rest = wrap(warning, max(width - 12 - len(whose), 8)) or [""]
            lines.append(((" careful: ", "warn"), (whose, "key.bold"), (first, "text")))
            lines += [((" " * (10 + len(whose)) + part, "text"),) for part in rest]
    return lines
