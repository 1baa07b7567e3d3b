"""Two sides of runs: what differs in their set-up, how far each figure is apart, and whether that
is more than chance.

A side is one run, or several of one plan. Where what others took of the machine could explain a
difference, there is no verdict. See `docs/deciding.md`. Knows sessions, not files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamatop.figures.deciding import CONFIDENCE, SAME_WITHIN, reach
from llamatop.figures.levels import LevelFigures
from llamatop.reports.apart import Apart, Pair, of_runs, over_levels, set_apart, set_groups_apart
from llamatop.reports.fairness import explained, warnings
from llamatop.reports.runs import Run, differences
from llamatop.reports.verdicts import (
    DECIDED,
    HEADLINE,
    SAME,
    UNDECIDED,
    Difference,
    Row,
    judge,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that sets one side apart from the baseline."""

    baseline: str
    other: str
    """The names of its runs, with commas."""
    setup: list[tuple[str, list[str | None]]]
    warnings: list[str]
    overall: list[Difference]
    levels: list[Difference]
    verdict: str
    caveat: str = ""
    """What the verdicts cannot know, and how to know it."""


def compare(baseline: Run, other: Run, seed: int = 0) -> Comparison:
    """Set `other` against `baseline`, level by level of the same concurrency."""
    pairs = paired(baseline, other)
    apart = [set_apart(baseline, other, pair, seed) for pair in pairs]
    setup = differences([baseline, other])
    why = [explained([pair[0]], [pair[1]], setup) for pair in pairs]
    return _compared(
        ([baseline], [other]), pairs, warnings(baseline, other, pairs),
        table=[
            Row(pair[0].concurrency, row, reason)
            for pair, row, reason in zip(pairs, apart, why, strict=True)
        ],
        overall=over_levels(apart) if apart else {},
    )  # fmt: skip


def compare_groups(baselines: Sequence[Run], others: Sequence[Run], seed: int = 0) -> Comparison:
    """Set several runs of a plan against several of another; one each is `compare`."""
    if len(baselines) == len(others) == 1:
        return compare(baselines[0], others[0], seed)
    shared = _shared([*baselines, *others])
    sides = [
        [[run[key] for run in map(_by_place, group)] for key in shared]
        for group in (baselines, others)
    ]
    apart = [set_groups_apart(ours, theirs) for ours, theirs in zip(*sides, strict=True)]
    setup = differences([baselines[0], others[0]])
    told = list(
        dict.fromkeys(
            warning
            for one, other in zip(
                _cycled(baselines, others), _cycled(others, baselines), strict=True
            )
            for warning in warnings(one, other, paired(one, other))
        )
    )
    return _compared(
        (baselines, others), [(sides[0][n][0], sides[1][n][0]) for n in range(len(shared))], told,
        table=[
            Row(key[0], of_runs([row]), explained(ours, theirs, setup))
            for key, row, ours, theirs in zip(shared, apart, *sides, strict=True)
        ],
        overall=of_runs(apart) if apart else {},
    )  # fmt: skip


def _cycled(group: Sequence[Run], beside: Sequence[Run]) -> list[Run]:
    """A group, begun again until it is as long as the other one."""
    return [group[n % len(group)] for n in range(max(len(group), len(beside)))]


_Key = tuple[int, int]
"""A concurrency, and which of the levels that have it."""


def _by_place(run: Run) -> dict[_Key, LevelFigures]:
    seen: Counter[int] = Counter()
    places = {}
    for figures in run.figures:
        places[figures.concurrency, seen[figures.concurrency]] = figures
        seen[figures.concurrency] += 1
    return places


def _shared(runs: Sequence[Run]) -> list[_Key]:
    """The levels that every run has, in order of their concurrency."""
    return sorted(set.intersection(*(set(_by_place(run)) for run in runs)))


def _compared(
    sides: tuple[Sequence[Run], Sequence[Run]],
    pairs: list[Pair],
    told: list[str],
    *,
    table: list[Row],
    overall: dict[str, Apart],
) -> Comparison:
    why = "; ".join(dict.fromkeys(row.explained for row in table if row.explained))
    every = judge([Row(None, overall, why)]) if overall else []
    levels = judge(table) if len(table) > 1 else _at(pairs, every)
    names = [", ".join(run.name for run in side) for side in sides]
    told = [
        *told,
        *(f"at concurrency {row.concurrency}: {row.explained}" for row in table if row.explained),
    ]
    single = len(sides[0]) == len(sides[1]) == 1
    return Comparison(
        names[0], names[1], differences([sides[0][0], sides[1][0]]), told, every, levels,
        plain(every), _caveat(every, overall) if single and every else "",
    )  # fmt: skip


def paired(baseline: Run, other: Run) -> list[Pair]:
    """The levels of the same concurrency, the first with the first where there are several."""
    left: dict[int, list[LevelFigures]] = {}
    for figures in other.figures:
        left.setdefault(figures.concurrency, []).append(figures)
    return [(f, left[f.concurrency].pop(0)) for f in baseline.figures if left.get(f.concurrency)]


def _at(pairs: list[Pair], overall: list[Difference]) -> list[Difference]:
    """Where there is one level, it says what all levels say."""
    return [replace(one, concurrency=pair[0].concurrency) for pair in pairs for one in overall]


def _caveat(overall: Sequence[Difference], apart: dict[str, Apart]) -> str:
    """What one run of each side cannot know."""
    first = next((one.metric for one in overall if one.low is not None), None)
    if first is None:
        return ""
    usual = math.expm1(reach(apart[first].between, 1 - CONFIDENCE))
    return (
        f"one run each: what varies from run to run is not known, ±{usual:.0%} is allowed for it; "
        "--runs 5 on both sides and compare --against would know"
    )


def plain(overall: list[Difference], within: float = SAME_WITHIN) -> str:
    """The verdict in a sentence: the headline, then what else is decided."""
    if not overall:
        return "nothing to compare: no concurrency in common"
    headline = [one for one in overall if one.metric in HEADLINE]
    others = [one for one in overall if one.metric not in HEADLINE and one.verdict in DECIDED]
    told = headline + others[:3]
    notes = [one.note for one in told]
    return "; ".join(
        _told(one, within, last=one.note not in notes[place + 1 :])
        for place, one in enumerate(told)
    )


def _told(one: Difference, within: float, last: bool) -> str:
    """A figure in words; its note where it is the `last` that has it."""
    text = f"{one.verdict}: {one.metric} {_signed(one.change)}".rstrip()
    if one.low is not None and one.high is not None:
        text += f" ({_signed(one.low)} to {_signed(one.high)})"
    if one.verdict == SAME:
        text += f", within ±{within:.0%}"
    return text + (f", {one.note}" if one.verdict == UNDECIDED and one.note and last else "")


def _signed(change: float | None) -> str:
    if change is None:
        return ""
    if abs(change) >= 1:
        return f"{change * 100:+,.0f} %"
    return f"{change * 100:+.1f} %" if round(change * 100, 1) else "0.0 %"
