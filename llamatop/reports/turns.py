"""Two settings that ran by turns: compared pair by pair, so that the machine's moods cancel.

The first level of one is held against the first of the other, and so on. Knows sessions, not how
they were run.
"""

from __future__ import annotations

import math

from llamatop.figures.deciding import NONE
from llamatop.figures.sequential import FIRST_LOOK, MOST_ROUNDS, of_pairs, rounds_needed
from llamatop.reports.apart import Apart, Pair, values_of
from llamatop.reports.compare import Comparison, paired, plain
from llamatop.reports.fairness import explained, warnings
from llamatop.reports.runs import Run, differences
from llamatop.reports.verdicts import Row, judge

CAUTION = 10
"""Beside other processes an interval leaves so many times less outside: both sides have them, but
not evenly."""

TOO_EARLY = f"undecided: nothing is said before {FIRST_LOOK} rounds"


def compare_turns(a: Run, b: Run, tail: float, within: float, *, live: bool = False) -> Comparison:
    """Set `b` against `a`; the headline's intervals leave `tail` outside.

    Nothing is said before the first look; what is `live` goes on.
    """
    pairs = paired(a, b)
    beside = [why for pair in pairs if (why := explained([pair[0]], [pair[1]], []))]
    tail = tail / CAUTION if beside else tail
    row = (
        {name: _of_pairs(name, pairs, tail, within) for name in values_of(pairs[0][0])}
        if pairs
        else {}
    )
    concurrency = pairs[0][0].concurrency if pairs else None
    told = len(pairs) >= 2 * FIRST_LOOK
    levels = judge([Row(concurrency, row)], tail, within) if told else []
    overall = judge([Row(None, row)], tail, within) if told else []
    setup = differences([a, b])
    shared = [f"by turns, so that both had it: {why}" for why in dict.fromkeys(beside)]
    unfair = list(dict.fromkeys(warnings(a, b, pairs, live=live)))
    return Comparison(
        a.name, b.name, setup, [*unfair, *shared[:1]], overall, levels,
        plain(overall, within) if told else TOO_EARLY,
    )  # fmt: skip


def _of_pairs(name: str, pairs: list[Pair], tail: float, within: float) -> Apart:
    """A figure over all pairs in which both have it."""
    values = [(values_of(one)[name], values_of(other)[name]) for one, other in pairs]
    known = [(one, other) for one, other in values if one and other and one > 0 and other > 0]
    if len(known) < len(values) or len(known) < 2:
        return Apart(None, None)
    logs = [math.log(other / one) for one, other in known]
    sides = [
        math.exp(math.fsum(map(math.log, side)) / len(side)) for side in zip(*known, strict=True)
    ]
    mean, error = math.fsum(logs) / len(logs), of_pairs(logs)
    target = max(abs(mean), math.log1p(within))
    return Apart(
        sides[0], sides[1], mean, within=NONE, between=error,
        note=_more(len(logs), rounds_needed(error, len(logs), tail, target)),
    )  # fmt: skip


def _more(pairs: int, rounds: int | None) -> str:
    """What would decide after so many pairs, where `rounds` in all would."""
    if rounds is None:
        return f"not decided within {MOST_ROUNDS} rounds like these"
    more = max(rounds - pairs // 2, 1)
    return f"about {more} more round{'' if more == 1 else 's'} would tell"
