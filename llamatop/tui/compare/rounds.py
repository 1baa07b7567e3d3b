"""Two settings that run by turns: how far they are, and how their intervals narrowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamatop.text.formatting import clock
from llamatop.tui.compare import setup
from llamatop.tui.compare.judging import SIGNS, named
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing.lines import Line, Span, fitting, left, line_width
from llamatop.tui.monitor.views.panel import Content

if TYPE_CHECKING:
    from llamatop.reports.verdicts import Difference
    from llamatop.run.trial import Trial

HEADLINE = ("output_tok_s", "ttft_s.p50")
"""Whose intervals are followed."""

_FIGURE, _VERDICT = 14, 11


def rounds(comparing: Comparing, width: int, height: int) -> Content:
    """Rounds and intervals, then what differs in the set-up."""
    trial = comparing.trial
    if trial is None:
        return Content()
    lines = _lines(trial, width)
    below = setup.setup(comparing, width, max(height - len(lines), 0))
    return Content([*lines, *below.lines], below.corner, (), below.hints, title="Rounds")


def rows_wished(comparing: Comparing, width: int) -> int:
    """Rows that all of it would fill."""
    return 1 + len(HEADLINE) + setup.rows_wished(comparing, width)


def _lines(trial: Trial, width: int) -> list[Line]:
    return [_where(trial, width), *(_narrowing(trial, name, width) for name in HEADLINE)]


def _where(trial: Trial, width: int) -> Line:
    """Which round, whose turn, for how long, and what would end it."""
    turns = trial.turns
    of = f"{turns.done} of {turns.limits.rounds} rounds"
    parts: list[list[Span]] = [[(of, "text.bold")], [(_doing(trial), "work")]]
    if not turns.ending:
        parts.append([(clock(turns.spent), "text")])
        parts.append([(_ends(trial), "dim")])
    return ((" ", "text"), *fitting(parts, width - 1, "   "))


def _doing(trial: Trial) -> str:
    turns = trial.turns
    if turns.ending:
        return "over" if turns.over else "ending"
    return f"{turns.whose.upper()} measures" if turns.whose else "both load"


def _ends(trial: Trial) -> str:
    most = trial.turns.limits.max_time
    late = "" if most is None else f", at most {clock(most)}"
    decided = "" if trial.within is None else f"; decided within ±{trial.within:.1%} ends it"
    return f"s stops it{late}{decided}"


def _narrowing(trial: Trial, metric: str, width: int) -> Line:
    """A figure's verdict, half its interval after each round, and what it would take."""
    name: list[Span] = [(left(f" {named(metric)}", _FIGURE), "text")]
    found = [one for one in (_figure(trial, metric, n) for n in range(len(trial.rounds))) if one]
    if not found:
        return (*name, ("nothing is said before the second round", "dim"))
    last = found[-1]
    start: list[Span] = [*name, (left(last.verdict, _VERDICT), SIGNS[last.verdict][1])]
    note: list[Span] = [(f"   {last.note}", "dim")] if last.note else []
    room = width - line_width(start) - line_width(note)
    return (*start, (_reaches(found, max(room, 0)), "text"), *note)


def _figure(trial: Trial, metric: str, place: int) -> Difference | None:
    return next((one for one in trial.rounds[place].overall if one.metric == metric), None)


def _reaches(found: list[Difference], room: int) -> str:
    """The newest of them last, as many as there is room for."""
    told = [
        f"±{(one.high - one.low) / 2:.1%}"
        for one in found
        if one.low is not None and one.high is not None
    ]
    while told and len(" → ".join(told)) > room:
        del told[0]
    return " → ".join(told)
