"""A comparison that is looked at again and again: what a single look may say, so that all of them
together rarely err.

The looks share the error evenly (Bonferroni), which holds however they depend on one another and
for Student's intervals of few pairs too; Jennison and Turnbull, Group Sequential Methods, 1999, has
sharper bounds for many pairs. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from llamatop.figures.deciding import Error
from llamatop.figures.student import t_quantile

CONFIDENCE = 0.98
"""That none of the intervals of all looks misses."""

FIRST_LOOK = 2
"""Rounds before anything is said: four pairs."""


MOST_ROUNDS = 200
"""More than this are a typing error rather than a wish."""


def looks(rounds: int) -> int:
    """How often so many rounds are looked at."""
    return max(rounds - FIRST_LOOK + 1, 1)


def tail_of_a_look(rounds: int) -> float:
    """What an interval of a single look leaves outside, of as many looks as the rounds have."""
    return (1 - CONFIDENCE) / looks(rounds)


def of_pairs(logs: Sequence[float]) -> Error:
    """The error of the mean of at least two pairs' differences of logarithms."""
    count = len(logs)
    mean = math.fsum(logs) / count
    squares = math.fsum((log - mean) ** 2 for log in logs)
    return Error(squares / (count - 1) / count, count - 1)


def rounds_needed(error: Error, pairs: int, tail: float, target: float) -> int | None:
    """How many rounds in all make the interval of so many pairs reach only to `target`.

    None: more than `MOST_ROUNDS`.
    """
    spread = math.sqrt(error.variance * pairs)
    for rounds in range(FIRST_LOOK, MOST_ROUNDS + 1):
        count = 2 * rounds
        if t_quantile(tail, count - 1) * spread / math.sqrt(count) <= target:
            return rounds
    return None
