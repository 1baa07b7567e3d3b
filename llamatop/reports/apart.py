"""How far each figure of two levels is apart, and how far that could be off.

Works with the logarithms of quotients, so that twice and half are equally far. Judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llamatop.figures.levels import LevelFigures
from llamatop.reports.resample import Floats, Spread, blocks_of, sample_spreads, spreads
from llamatop.reports.runs import Run

Pair = tuple[LevelFigures, LevelFigures]
"""The same level of the baseline and of the other run."""

PARTLY = "not measured at every level"


def values_of(figures: LevelFigures) -> dict[str, float | None]:
    """Every figure that can be compared, by its name in the summary's JSON."""
    values: dict[str, float | None] = {
        "output_tok_s": figures.output_rate,
        "request_s": figures.request_rate,
    }
    for name in ("ttft", "tpot", "itl", "e2e"):
        spread = getattr(figures, name)
        for part in ("mean", "p50", "p90", "p99"):
            values[f"{name}_s.{part}"] = _number(getattr(spread, part)) if spread else None
    values["peak_memory.host_bytes"] = figures.host_peak_bytes
    values["peak_memory.device_bytes"] = figures.device_peak_bytes
    return values


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class Apart:
    """A figure in both runs, and draws of the logarithm of their quotient, less itself."""

    baseline: float | None
    other: float | None
    spread: Spread | None
    note: str = ""

    @property
    def log(self) -> float | None:
        """The logarithm of other / baseline."""
        if not self.baseline or not self.other or self.baseline < 0 or self.other < 0:
            return None
        return math.log(self.other / self.baseline)


def set_apart(baseline: Run, other: Run, pair: Pair, seed: int) -> dict[str, Apart]:
    """Every figure of one level in both runs."""
    ours = _spreads(baseline, pair[0].level, seed * 2)
    theirs = _spreads(other, pair[1].level, seed * 2 + 1)
    note = _own(baseline, other) or _few(pair)
    found = {}
    for name, value in values_of(pair[0]).items():
        spread = _quotient(ours.get(name), theirs.get(name))
        found[name] = Apart(value, values_of(pair[1])[name], spread, note)
    return found


def _spreads(run: Run, level: int, seed: int) -> dict[str, Spread]:
    """How far each figure of a level could be off; of a table, from what it was made of."""
    made = run.session.levels[level]
    if run.samples is None:
        return spreads(made, seed)
    return sample_spreads(run.samples[level], made.concurrency, seed)


def _own(baseline: Run, other: Run) -> str:
    """Whose figures have no samples here: a table's tool's."""
    tools = [
        run.session.imported.title
        for run in (baseline, other)
        if run.told is not None and run.session.imported is not None
    ]
    return f"{' and '.join(tools)}'s own figure" if tools else ""


def _few(pair: Pair) -> str:
    """Why no interval can be given at all; empty where one can."""
    blocks = min(blocks_of(figures.completed, figures.concurrency) for figures in pair)
    return "too few requests" if blocks < 2 else "too few requests for this percentile"


def _quotient(ours: Spread | None, theirs: Spread | None) -> Spread | None:
    if ours is None or theirs is None:
        return None
    return _combined([ours, theirs], theirs.draws - ours.draws, 1)


def together(levels: Sequence[dict[str, Apart]]) -> dict[str, Apart]:
    """Each figure over all levels: geometric means, where every level has it."""
    return {name: _mean([level[name] for level in levels]) for name in levels[0]}


def _mean(parts: list[Apart]) -> Apart:
    """Over the levels at which either run has the figure."""
    if len(parts) == 1:
        return parts[0]
    parts = [part for part in parts if part.baseline is not None or part.other is not None]
    known = [part for part in parts if part.log is not None]
    if not known or len(known) < len(parts):
        return Apart(None, None, None, PARTLY if parts else "")
    unknown = [part for part in known if part.spread is None]
    spread = None
    drawn = [part.spread for part in known if part.spread is not None]
    if not unknown:
        draws = sum(one.draws for one in drawn) / len(drawn)
        spread = _combined(drawn, np.asarray(draws), len(drawn))
    return Apart(
        _geometric([part.baseline for part in known]),
        _geometric([part.other for part in known]),
        spread,
        (unknown or known)[0].note,
    )


def _combined(parts: list[Spread], draws: Floats, count: int) -> Spread:
    """The spread of a sum divided by `count`; degrees of freedom after Welch and Satterthwaite."""
    variance = sum(part.variance for part in parts)
    if variance == 0:
        return Spread(draws, 0.0, sum(part.freedom for part in parts))
    shared = sum(part.variance**2 / part.freedom for part in parts)
    return Spread(draws, variance / count**2, max(int(variance**2 / shared), 1))


def _geometric(values: Sequence[float | None]) -> float:
    return math.exp(math.fsum(math.log(v) for v in values if v) / len(values))
