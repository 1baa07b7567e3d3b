"""What a difference and its error decide: an interval, a verdict, and what more would be needed.

Works with logarithms of quotients, so that twice and half are equally far: `log` is that of
other / baseline. Knows no figure, no run and no resampling. Pure.

Errors are added by Satterthwaite (Biometrics Bulletin 2, 1946), intervals are Student's, and `same`
is decided by an interval that lies within a margin on both sides, as two one-sided tests would
(Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llamatop.figures.student import t_quantile

CONFIDENCE = 0.95
"""That the interval of a headline figure, and that none of the family of all others, misses."""

SAME_WITHIN = 0.05
"""An interval within this share on both sides says `same`."""

WIDEST = math.log(11.0)
"""An interval that reaches further than this from its middle (eleven times) tells nothing."""

MOST_RUNS = 100
"""More runs of each side than this are nobody's."""

Way = Literal["up", "down", "same", "undecided"]


@dataclass(frozen=True, slots=True)
class Error:
    """The variance of a logarithm, and the degrees of freedom with which it is known."""

    variance: float
    freedom: float


NONE = Error(0.0, math.inf)


def added(errors: Sequence[Error]) -> Error:
    """The error of a sum of what is independent."""
    variance = math.fsum(error.variance for error in errors)
    shared = math.fsum(error.variance**2 / error.freedom for error in errors)
    return Error(variance, variance**2 / shared if shared > 0 else math.inf)


def reach(error: Error, tail: float) -> float:
    """How far an interval reaches to either side, `tail` being the share of both ends outside."""
    if error.variance <= 0:
        return 0.0
    freedom = max(int(min(error.freedom, 1e6)), 1)
    return t_quantile(tail, freedom) * math.sqrt(error.variance)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a change lies, as a share, and which way it is; None: nothing tells."""

    low: float | None
    high: float | None
    way: Way


def decide(log: float, error: Error, tail: float, within: float = SAME_WITHIN) -> Decision:
    """Up or down where the interval leaves out no change; else same, where it is narrow enough."""
    far = reach(error, tail)
    if far > WIDEST:
        return Decision(None, None, "undecided")
    low, high = math.expm1(log - far), math.expm1(log + far)
    if low > 0 or high < 0:
        return Decision(low, high, "up" if low > 0 else "down")
    narrow = -within <= low and high <= within
    return Decision(low, high, "same" if narrow else "undecided")


def times_as_many(within: Error, between: Error, tail: float, target: float) -> float | None:
    """How many times as many independent units would make an interval reach only to `target`.

    `within` shrinks with the units, `between` does not; None where no number of them would do.
    """
    room = (target / t_quantile(tail, 301)) ** 2 - between.variance
    return within.variance / room if room > 0 else None


def runs_needed(spread: float, tail: float, target: float) -> int | None:
    """How many runs of each side make an interval reach only to `target`.

    `spread` is the standard deviation of a run's logarithm; None: more than `MOST_RUNS`.
    """
    for runs in range(2, MOST_RUNS + 1):
        if t_quantile(tail, 2 * runs - 2) * spread * math.sqrt(2 / runs) <= target:
            return runs
    return None


def of_groups(ours: Sequence[float], theirs: Sequence[float]) -> Error:
    """The error of the difference of two groups' means, a value a run; at least three in all.

    Student's pooled variance, which needs no likeness of the spreads where the groups are as large
    as each other; of groups of several runs that are not, Welch's.
    """
    sizes = len(ours), len(theirs)
    squares = [_squares(group) for group in (ours, theirs)]
    if sizes[0] == sizes[1] or 1 in sizes:
        freedom = sum(sizes) - 2
        pooled = sum(squares) / freedom
        return Error(pooled * (1 / sizes[0] + 1 / sizes[1]), freedom)
    return added([Error(s / (n - 1) / n, n - 1) for s, n in zip(squares, sizes, strict=True)])


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
