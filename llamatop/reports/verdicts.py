"""What is said of a difference: which way, how surely, and what more would decide.

The headline (throughput and TTFT p50, of each level and over all) is tested by itself, each figure
at `CONFIDENCE`; all others are a family, none of whose intervals misses with that confidence. Where
something else could explain a difference there is no verdict. Knows no run and no session.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from llamatop.figures.deciding import (
    CONFIDENCE,
    MOST_RUNS,
    SAME_WITHIN,
    decide,
    reach,
    runs_needed,
    times_as_many,
)
from llamatop.reports.apart import FEW, FEW_FOR_THIS, PARTLY, Apart

MEMORY_RESOLUTION = 0.02
"""A peak of memory is measured once a level; differences within 2 % are not called one."""

FIRST = "output_tok_s"
"""The figure that stands for the run."""

HEADLINE = (FIRST, "ttft_s.p50")
"""What is tested by itself."""

HIGHER_IS_BETTER = ("output_tok_s", "request_s")
MEMORY = ("peak_memory.host_bytes", "peak_memory.device_bytes")

DECIDED = ("faster", "slower", "more", "less")
"""Verdicts that call a difference one."""

SAME = "same"
UNDECIDED = "undecided"

COARSEST = math.log1p(0.5)
"""An interval that reaches further is not worth more requests."""

USUAL = math.log1p(0.1)
"""What one run of each side is expected to show, where it cannot show less."""

LEAST_UNITS = 4
"""Units a level from which on an interval can be expected to tell something."""

FEW_FREEDOM = 8
"""Below these degrees of freedom draws cannot tell which figures move together."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two sides, at one concurrency (None: over all they share)."""

    metric: str
    """Its name in the summary's JSON, as `ttft_s.p50`."""
    concurrency: int | None
    baseline: float | None
    other: float | None
    change: float | None
    """other / baseline - 1."""
    low: float | None
    high: float | None
    """Where the change lies; None: cannot be told."""
    verdict: str
    """One of `DECIDED`, `same` (the interval lies within `SAME_WITHIN` of no change), or
    `undecided`."""
    note: str = ""
    needs: int | None = None
    """About so many more requests a level would decide; None: nothing is undecided, or not by more
    requests."""


@dataclass(frozen=True, slots=True)
class Row:
    """All figures at one concurrency; `explained`: what else could be the reason."""

    concurrency: int | None
    figures: dict[str, Apart]
    explained: str = ""


def judge(
    table: Sequence[Row], headline: float = 1 - CONFIDENCE, within: float = SAME_WITHIN
) -> list[Difference]:
    """Verdicts on some rows of figures: the headline each by itself, the others together.

    `headline` is the share that its intervals leave outside, `within` what counts as the same.
    """
    others = [a for row in table for name, a in row.figures.items() if name not in HEADLINE]
    family = _tail(others)
    return [
        _difference(name, row, apart, headline if name in HEADLINE else family, within)
        for row in table
        for name, apart in row.figures.items()
        if apart.baseline is not None or apart.other is not None or apart.note == PARTLY
    ]


def _tail(family: Sequence[Apart]) -> float:
    """The probability left to a single interval, so that all of a family hold together.

    From the draws themselves, where there are enough to tell: figures that move together count as
    one (Westfall and Young, Resampling-Based Multiple Testing, 1993). Else Bonferroni's.
    """
    moving = [one for one in family if one.error is not None and one.error.variance > 0]
    drawn = [one.draws for one in moving if one.draws is not None and np.std(one.draws) > 0]
    most = 1 - CONFIDENCE
    if not moving:
        return most
    least = min(one.within.freedom for one in moving if one.within is not None)
    if not drawn or least < FEW_FREEDOM:
        return most / len(moving)
    worst = np.max([np.abs(draws) / np.std(draws) for draws in drawn], axis=0)
    far = float(np.quantile(worst, CONFIDENCE))
    return min(2 * (1 - NormalDist().cdf(far)), most)


def _difference(name: str, row: Row, apart: Apart, tail: float, within: float) -> Difference:
    change = None if apart.log is None else math.expm1(apart.log)
    sides = name, row.concurrency, apart.baseline, apart.other, change
    if name in MEMORY or apart.log is None:
        return Difference(*sides, None, None, _memory_verdict(change), _note(name, apart))
    if apart.error is None:
        return Difference(
            *sides, None, None, UNDECIDED, apart.note or row.explained,
            None if row.explained else _more_to_begin(name, apart),
        )  # fmt: skip
    found = decide(apart.log, apart.error, tail, within)
    if row.explained and found.way != "same":
        return Difference(*sides, found.low, found.high, UNDECIDED, row.explained)
    if found.way == "undecided":
        needs = _needs(apart, tail)
        note = _wanting(name, apart, tail, needs)
        return Difference(
            *sides, found.low, found.high, UNDECIDED, note, needs[0] if needs else None
        )
    return Difference(*sides, found.low, found.high, _word(name, found.way))


def _word(name: str, way: str) -> str:
    if way == "same":
        return SAME
    return "faster" if (way == "up") == (name in HIGHER_IS_BETTER) else "slower"


def _memory_verdict(change: float | None) -> str:
    """Of what is measured once, and of what is not measured in both."""
    if change is None:
        return UNDECIDED
    return SAME if abs(change) <= MEMORY_RESOLUTION else ("more" if change > 0 else "less")


def _note(name: str, apart: Apart) -> str:
    if apart.log is None:
        return apart.note if apart.note == PARTLY else "not measured in both"
    return "measured once: no interval" if name in MEMORY else ""


def _target(apart: Apart) -> float:
    """How far an interval may reach to decide: to no change, or to what counts as none."""
    return min(max(abs(apart.log or 0.0), math.log1p(SAME_WITHIN)), COARSEST)


def _needs(apart: Apart, tail: float) -> tuple[int, float] | None:
    """More requests a level, and how far the interval would reach then; None: none would help."""
    error = apart.error
    if error is None or apart.within is None or not apart.requests:
        return None
    for target in (_target(apart), USUAL):
        times = times_as_many(apart.within, apart.between, tail, target)
        if times is not None and times > 1 and reach(error, tail) > target:
            more = math.ceil((times - 1) * apart.requests / apart.together) * apart.together
            return more, target
    return None


def _more_to_begin(name: str, apart: Apart) -> int | None:
    """More requests a level with which there would be an interval; None: they would not help."""
    if apart.note == FEW:
        return max(LEAST_UNITS * apart.together - apart.requests, apart.together)
    if apart.note == FEW_FOR_THIS:
        percent = int(name.rpartition(".p")[2])
        return max(math.ceil(200 / (100 - percent)) - apart.requests, 1)
    return None


def _wanting(name: str, apart: Apart, tail: float, needs: tuple[int, float] | None) -> str:
    """What would decide, in words."""
    if needs is not None:
        return f"about {needs[0]:,} more requests a level would show {_shown(needs[1])}"
    if apart.draws is None and (apart.note or not apart.spread):
        return apart.note or "more runs of both sides would tell"
    for target in (_target(apart), USUAL):
        runs = runs_needed(_of_a_run(apart), tail, target)
        if runs is not None:
            return f"--runs {runs} on both sides would show {_shown(target)}"
    return f"more than {MOST_RUNS} runs of both sides would show {_shown(USUAL)}"


def _shown(target: float) -> str:
    return f"±{math.expm1(target):.0%}"


def _of_a_run(apart: Apart) -> float:
    """The standard deviation of a run's logarithm, what varies within it and between runs."""
    within = 0.0 if apart.within is None else apart.within.variance / 2
    return math.sqrt(within + apart.spread**2)
