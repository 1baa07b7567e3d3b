"""The two lines at the top: which runs, which level, and what sets them apart in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llamatop.reports.runs import short
from llamatop.tui.compare.judging import FIRST, NOT_COMPARED, OPEN, SIGNS, Row
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing.lines import Line, Span, fitting, line_width, spread
from llamatop.tui.monitor.views.values import TIMES

if TYPE_CHECKING:
    from llamatop.run.trial import Trial


def header(comparing: Comparing, width: int, height: int) -> list[Line]:
    """The header in one or two rows; the verdict is always there."""
    verdict = (*_verdict(comparing, width),)
    return [_what(comparing, width), verdict][-height:] if height else []


def _what(comparing: Comparing, width: int) -> Line:
    end: list[Span] = [*looked_at(comparing), (" ", "text")]
    start: list[Span] = [(" ", "text"), ("llamatop", "work.bold"), ("  ", "text")]
    room = width - line_width(start) - line_width(end) - 2
    return spread([*start, *fitting(_runs(comparing, room), room, "  ")], end, width)


def _runs(comparing: Comparing, room: int) -> list[list[Span]]:
    """Every run's letter and name, each with its share of the room."""
    names = comparing.names
    cells = max(room // len(names) - 4, 6)
    letters = [tape.letter for tape in comparing.tapes]
    return [
        [(letter, "key.bold"), (f" {short(name, cells)}", "text")]
        for letter, name in zip(letters, names, strict=True)
    ]


def looked_at(comparing: Comparing) -> list[Span]:
    """The level that is looked at, among how many."""
    if comparing.trial is not None:
        return _rounds(comparing.trial)
    count = sum(level is not None for level in comparing.levels)
    if not count:
        return [("no level in common", "warn")]
    if comparing.level is None:
        return [(f"all {count} levels", "text.bold")]
    told: list[Span] = [(f"{TIMES}{comparing.level}", "text.bold")]
    place = comparing.levels.index(comparing.level)
    return told if count == 1 else [*told, (f" level {place} of {count}", "dim")]


def _rounds(trial: Trial) -> list[Span]:
    turns = trial.turns
    return [(f"round {min(turns.done + 1, turns.limits.rounds)}", "text.bold")]


def _verdict(comparing: Comparing, width: int) -> list[Span]:
    """What is different, throughput first; in full where there is one run to tell of."""
    others = range(len(comparing.judged))
    shown = [comparing.focus] if comparing.focus is not None else others
    parts = [_told(comparing, other, len(shown) == 1) for other in shown]
    return [(" ", "text"), *fitting([part for parts_ in parts for part in parts_], width - 2, "  ")]


def _told(comparing: Comparing, other: int, full: bool) -> list[list[Span]]:
    letter = comparing.tapes[other + 1].letter
    lead: list[Span] = [(letter, "key.bold"), (" ", "text")]
    if comparing.judged[other] is None:
        why = comparing.problem or comparing.awaited
        return [[*lead, (why, "bad" if comparing.problem else "dim")]]
    rows = comparing.rows(other)
    if not rows:
        return [[*lead, ("nothing to compare here", "warn")]]
    if all(row.verdict == NOT_COMPARED for row in rows):
        return [[*lead, ("nothing to compare here", "warn")]]
    apart = [row for row in rows if row.verdict not in (*OPEN, NOT_COMPARED)]
    if not full:
        return [[*lead, *_first(rows)]]
    if not apart:
        return [[*lead, *_first(rows)]]
    befores = ["", *(row.verdict for row in apart)]
    told = [_worded(row, before) for row, before in zip(apart, befores, strict=False)]
    return [[*lead, *told[0]], *told[1:]]


def _first(rows: Sequence[Row]) -> list[Span]:
    """The figure that stands for the run, short."""
    first = next((row for row in rows if row.figure == FIRST), None)
    return [] if first is None else _short(first)


def _short(row: Row) -> list[Span]:
    sign, role = SIGNS[row.verdict]
    if row.verdict == NOT_COMPARED:
        return [(f"{row.figure} {row.verdict}", role)]
    told = row.verdict if row.verdict in OPEN else ""
    return [(f"{sign} ", role), (f"{told} {row.change} tok/s".strip(), role)]


def _worded(row: Row, before: str) -> list[Span]:
    """A difference; its verdict where that of the one before was another."""
    _, role = SIGNS[row.verdict]
    word: list[Span] = [(f"{row.verdict} ", f"{role}.bold")] if row.verdict != before else []
    return [*word, (f"{row.figure} ", "dim"), (row.change, "text")]
