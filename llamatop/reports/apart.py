"""How far each figure of two levels is apart, and how far that could be off.

Works with the logarithms of quotients, so that twice and half are equally far. One run of each
side knows what varied within it, and is allowed what varies between runs (see `between_runs`);
several of a side say that themselves, each being one value. Judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llamatop.figures.between_runs import one_run_each, spread_of
from llamatop.figures.deciding import NONE, Error, added, of_groups
from llamatop.figures.levels import LevelFigures
from llamatop.figures.pooled import Floats
from llamatop.reports.resample import Spread, sample_spreads, spreads
from llamatop.reports.runs import Run

Pair = tuple[LevelFigures, LevelFigures]
"""The same level of the baseline and of the other run."""


PARTLY = "not measured at every level"
FEW = "too few requests"
FEW_FOR_THIS = "too few requests for this percentile"


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
    """A figure of both sides, how far they are apart, and how far that could be off."""

    baseline: float | None
    other: float | None
    log: float | None = None
    """The logarithm of other / baseline."""
    within: Error | None = None
    """Of that logarithm, as far as more requests make it smaller; None: not known."""
    between: Error = NONE
    """What only more runs make smaller."""
    draws: Floats | None = None
    """Of the logarithm less itself, drawn together with all other figures; None: a value a run."""
    note: str = ""
    requests: int = 0
    """Completed requests at a level, of the side that has fewer."""
    together: int = 1
    """Requests that make a unit."""
    spread: float = 0.0
    """The standard deviation of a figure's logarithm from run to run: of one run each what is
    allowed for, of several what they show; 0: not known."""

    @property
    def error(self) -> Error | None:
        """All of it."""
        return None if self.within is None else added([self.within, self.between])


def set_apart(baseline: Run, other: Run, pair: Pair, seed: int) -> dict[str, Apart]:
    """Every figure of one level in both runs."""
    ours = level_spreads(baseline, pair[0].level, seed * 2)
    theirs = level_spreads(other, pair[1].level, seed * 2 + 1)
    told = _own(baseline, other)
    requests = min(figures.completed for figures in pair)
    found = {}
    for name, value in values_of(pair[0]).items():
        against = values_of(pair[1])[name]
        apart = Apart(
            value, against, _log(value, against), note=told,
            requests=requests, together=pair[0].concurrency,
        )  # fmt: skip
        left, right = ours.get(name), theirs.get(name)
        allowed = [spread_of(name, run.on_processor) for run in (baseline, other)]
        if left is None or right is None:
            found[name] = replace(apart, note=told or _few(name, ours, theirs))
            continue
        found[name] = replace(
            apart,
            within=_of_both(left, right),
            between=one_run_each(*allowed),
            spread=max(allowed),
            draws=right.draws - left.draws,
        )
    return found


def set_groups_apart(ours: Sequence[LevelFigures], theirs: Sequence[LevelFigures]) -> _Groups:
    """Every figure of one level of several runs of a side at least: the values of each run."""
    return {
        name: ([values_of(one)[name] for one in ours], [values_of(one)[name] for one in theirs])
        for name in values_of(ours[0])
    }


_Groups = dict[str, tuple[list[float | None], list[float | None]]]


def of_runs(levels: Sequence[_Groups]) -> dict[str, Apart]:
    """Each figure over some levels, from a value a run: its geometric mean over them."""
    found = {}
    for name in levels[0]:
        sides = [_over_levels([level[name][side] for level in levels]) for side in (0, 1)]
        known = [one for side in sides for one in side if one is not None]
        if len(known) < sum(map(len, sides)):
            found[name] = Apart(None, None, note=PARTLY if known else "")
            continue
        logs = [[value for value in side if value is not None] for side in sides]
        middles = [math.fsum(side) / len(side) for side in logs]
        between = of_groups(*logs)
        sizes = math.fsum(1 / len(side) for side in logs)
        found[name] = Apart(
            math.exp(middles[0]), math.exp(middles[1]), middles[1] - middles[0],
            within=NONE, between=between, spread=math.sqrt(between.variance / sizes),
        )  # fmt: skip
    return found


def _over_levels(levels: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Of each run the mean of the figure's logarithm over the levels; None: not of every level."""
    means: list[float | None] = []
    for values in zip(*levels, strict=True):
        known = [math.log(value) for value in values if value is not None and value > 0]
        means.append(math.fsum(known) / len(known) if len(known) == len(values) else None)
    return means


def _log(baseline: float | None, other: float | None) -> float | None:
    if not baseline or not other or baseline < 0 or other < 0:
        return None
    return math.log(other / baseline)


def level_spreads(run: Run, level: int, seed: int, *, brief: bool = False) -> dict[str, Spread]:
    """How far each figure of a level could be off; of a table, from what it was made of.

    `brief`: see `spreads`.
    """
    made = run.session.levels[level]
    if run.samples is None:
        return spreads(made, seed, brief=brief)
    return sample_spreads(run.samples[level], made.concurrency, seed)


def _own(baseline: Run, other: Run) -> str:
    """Whose figures have no samples here: a table's tool's."""
    tools = [
        run.session.imported.title
        for run in (baseline, other)
        if run.told is not None and run.session.imported is not None
    ]
    return f"{' and '.join(tools)}'s own figure" if tools else ""


def _few(name: str, ours: dict[str, Spread], theirs: dict[str, Spread]) -> str:
    """Why no interval can be given: at all, or of this percentile."""
    mean = f"{name.partition('.')[0]}.mean"
    return FEW_FOR_THIS if mean in ours and mean in theirs and mean != name else FEW


def _of_both(left: Spread, right: Spread) -> Error:
    """Student's pooled variance where both have as many units, else by Satterthwaite."""
    variance = left.variance + right.variance
    if left.freedom == right.freedom:
        return Error(variance, 2 * left.freedom)
    return added([Error(one.variance, one.freedom) for one in (left, right)])


def over_levels(levels: Sequence[dict[str, Apart]]) -> dict[str, Apart]:
    """Each figure over all levels: geometric means, where every level has it."""
    return {name: _mean([level[name] for level in levels]) for name in levels[0]}


def _mean(parts: list[Apart]) -> Apart:
    """Over the levels at which either run has the figure."""
    if len(parts) == 1:
        return parts[0]
    parts = [part for part in parts if part.baseline is not None or part.other is not None]
    known = [part for part in parts if part.log is not None]
    if not known or len(known) < len(parts):
        return Apart(None, None, note=PARTLY if parts else "")
    count = len(known)
    apart = Apart(
        _geometric([part.baseline for part in known]),
        _geometric([part.other for part in known]),
        math.fsum(part.log for part in known if part.log is not None) / count,
        note=next((part.note for part in known if part.within is None), known[0].note),
        requests=max(part.requests for part in known),
        together=max(part.together for part in known),
    )
    errors = [part.within for part in known if part.within is not None]
    draws = [part.draws for part in known if part.draws is not None]
    if len(errors) < count or len(draws) < count:
        return apart
    total = added(errors)
    return replace(
        apart,
        within=Error(total.variance / count**2, total.freedom),
        between=known[0].between,  # a run's mood is that of all its levels
        spread=known[0].spread,
        draws=np.asarray(sum(draws) / count),
    )


def _geometric(values: Sequence[float | None]) -> float:
    return math.exp(math.fsum(math.log(v) for v in values if v) / len(values))
