"""Two runs side by side: what differs in their set-up, how far each figure is apart, and whether
that is more than chance within the recordings.

Throughput over all levels is the question asked first, and its interval stands alone. The other
figures over all levels hold together: with `CONFIDENCE`, none of their intervals misses; and so do
those of the single levels. Knows sessions, not files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from llamatop.figures.levels import LevelFigures
from llamatop.figures.student import t_quantile
from llamatop.reports.apart import PARTLY, Apart, Pair, set_apart, together
from llamatop.reports.fairness import warnings
from llamatop.reports.resample import Spread
from llamatop.reports.runs import Run, differences

CONFIDENCE = 0.99
"""That no interval of a family misses: so a comparison of two recordings of the same thing shows
a difference anywhere three times in a hundred at most."""

RESOLUTION = 0.001
"""Smaller differences (0.1 %) are never called one."""

MEMORY_RESOLUTION = 0.02
"""A peak of memory is measured once a level; differences within 2 % are not called one."""

FIRST = "output_tok_s"
"""The figure that stands for the run."""

HIGHER_IS_BETTER = ("output_tok_s", "request_s")
MEMORY = ("peak_memory.host_bytes", "peak_memory.device_bytes")
SAME = "no difference shown"


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in two runs, at one concurrency (None: over all they share)."""

    metric: str
    """Its name in the summary's JSON, as `ttft_s.p50`."""
    concurrency: int | None
    baseline: float | None
    other: float | None
    change: float | None
    """other / baseline - 1."""
    low: float | None
    high: float | None
    """Where the change lies, with all other intervals of the table; None: cannot be told."""
    verdict: str
    """`faster`, `slower`, `more`, `less`, or `no difference shown`."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that sets one run apart from the baseline."""

    baseline: str
    other: str
    setup: list[tuple[str, list[str | None]]]
    warnings: list[str]
    overall: list[Difference]
    levels: list[Difference]
    verdict: str


def compare(baseline: Run, other: Run, seed: int = 0) -> Comparison:
    """Set `other` against `baseline`, level by level of the same concurrency."""
    pairs = paired(baseline, other)
    apart = [set_apart(baseline, other, pair, seed) for pair in pairs]
    overall = _overall(together(apart)) if apart else []
    each = [(pair[0].concurrency, values) for pair, values in zip(pairs, apart, strict=True)]
    levels = _judge(each) if len(each) > 1 else _at(pairs, overall)
    return Comparison(
        baseline.name,
        other.name,
        differences([baseline, other]),
        warnings(baseline, other, pairs),
        overall,
        levels,
        _plain(overall),
    )


def paired(baseline: Run, other: Run) -> list[Pair]:
    """The levels of the same concurrency, the first with the first where there are several."""
    left: dict[int, list[LevelFigures]] = {}
    for figures in other.figures:
        left.setdefault(figures.concurrency, []).append(figures)
    return [(f, left[f.concurrency].pop(0)) for f in baseline.figures if left.get(f.concurrency)]


def _overall(row: dict[str, Apart]) -> list[Difference]:
    """Verdicts over all levels: throughput by itself, the rest together."""
    first = {name: apart for name, apart in row.items() if name == FIRST}
    rest = {name: apart for name, apart in row.items() if name != FIRST}
    return _judge([(None, first)]) + _judge([(None, rest)])


def _at(pairs: list[Pair], overall: list[Difference]) -> list[Difference]:
    """Where there is one level, it says what all levels say."""
    return [replace(one, concurrency=pair[0].concurrency) for pair in pairs for one in overall]


def _judge(table: Sequence[tuple[int | None, dict[str, Apart]]]) -> list[Difference]:
    """Verdicts on a table of figures whose intervals hold together."""
    tail = _tail([apart.spread for _, row in table for apart in row.values() if apart.spread])
    return [
        _difference(name, concurrency, apart, tail)
        for concurrency, row in table
        for name, apart in row.items()
        if apart.baseline is not None or apart.other is not None or apart.note == PARTLY
    ]


def _tail(spreads: list[Spread]) -> float:
    """The probability left to a single interval, so that all of them hold together.

    From the draws themselves: figures that move together count as one.
    """
    moving = [spread for spread in spreads if spread.variance > 0]
    if not moving:
        return 1 - CONFIDENCE
    worst = np.max([np.abs(one.draws) / np.std(one.draws) for one in moving], axis=0)
    reach = float(np.quantile(worst, CONFIDENCE))
    return min(2 * (1 - NormalDist().cdf(reach)), 1 - CONFIDENCE)


def _difference(name: str, concurrency: int | None, apart: Apart, tail: float) -> Difference:
    log, spread = apart.log, apart.spread
    change = None if log is None else math.expm1(log)
    low = high = None
    if log is not None and spread is not None:
        reach = t_quantile(tail, spread.freedom) * math.sqrt(spread.variance)
        low, high = math.expm1(log - reach), _expm1(log + reach)
    note = _note(name, apart)
    verdict = _verdict(name, change, low, high)
    return Difference(
        name, concurrency, apart.baseline, apart.other, change, low, high, verdict, note
    )


def _expm1(value: float) -> float:
    return math.expm1(min(value, 700.0))


def _note(name: str, apart: Apart) -> str:
    if apart.log is None:
        return apart.note if apart.note == PARTLY else "not measured in both"
    if name in MEMORY:
        return "measured once: no interval"
    return apart.note if apart.spread is None else ""


def _verdict(name: str, change: float | None, low: float | None, high: float | None) -> str:
    if change is None:
        return SAME
    if name in MEMORY:
        return SAME if abs(change) <= MEMORY_RESOLUTION else ("more" if change > 0 else "less")
    if low is None or high is None or low <= 0 <= high or abs(change) < RESOLUTION:
        return SAME
    return "faster" if (change > 0) == (name in HIGHER_IS_BETTER) else "slower"


def _plain(overall: list[Difference]) -> str:
    """The verdict in a sentence, throughput first."""
    if not overall:
        return "nothing to compare: no concurrency in common"
    shown = [one for one in overall if one.verdict != SAME]
    if not shown:
        return SAME
    return "; ".join(f"{one.verdict}: {one.metric} {_signed(one.change)}" for one in shown[:4])


def _signed(change: float | None) -> str:
    if change is None:
        return ""
    return f"{change * 100:+,.0f} %" if change >= 1 else f"{change * 100:+.1f} %"
