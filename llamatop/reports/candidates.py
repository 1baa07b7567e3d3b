"""What can be chosen among: every level that ran to its end, with how far its figures could be off.

Runs of one setting (`--runs`) are one candidate a level, whose interval is that of the runs. Two
candidates are told apart as `compare` would. Knows sessions, not files, and no goal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from llamatop.figures.between_runs import FREEDOM, one_run, spread_of
from llamatop.figures.deciding import CONFIDENCE, WIDEST, Error, added, decide, reach
from llamatop.figures.levels import LevelFigures, never_reached
from llamatop.figures.targets import kept_of
from llamatop.reports.apart import level_spreads, values_of
from llamatop.reports.fairness import same_setting
from llamatop.reports.knee import usable
from llamatop.reports.resample import Spread
from llamatop.reports.runs import Run

CLOSE = 0.02
"""Differences within 2 % are none, however surely they are known."""

TAIL = 1 - CONFIDENCE


@dataclass(frozen=True)
class Candidate:
    """One level of a setting, as one run or several measured it."""

    runs: Sequence[Run]
    levels: Sequence[LevelFigures]
    """One of each run."""

    @property
    def run(self) -> Run:
        """The first of them, which stands for all."""
        return self.runs[0]

    @property
    def figures(self) -> LevelFigures:
        """The level in the first of them."""
        return self.levels[0]

    @cached_property
    def _values(self) -> list[dict[str, float | None]]:
        return [values_of(one) for one in self.levels]

    def value(self, metric: str) -> float | None:
        """A figure; the geometric mean where there are several runs."""
        known = [one for values in self._values if (one := values[metric]) is not None and one > 0]
        if len(known) < len(self._values):
            return None
        return math.exp(math.fsum(map(math.log, known)) / len(known))

    def error(self, metric: str) -> Error | None:
        """Of the figure's logarithm; None: not known."""
        if len(self.runs) > 1:
            logs = [math.log(one) for values in self._values if (one := values[metric])]
            mean = math.fsum(logs) / len(logs)
            squares = math.fsum((log - mean) ** 2 for log in logs)
            return Error(squares / (len(logs) - 1) / len(logs), len(logs) - 1)
        spread = self._spreads.get(metric)
        if spread is None:
            return None
        between = Error(spread_of(metric, self.run.on_processor) ** 2, FREEDOM)
        return added([Error(spread.variance, spread.freedom), between])

    @cached_property
    def _spreads(self) -> dict[str, Spread]:
        return dict(level_spreads(self.run, self.figures.level, 0, brief=True))

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Where the figure lies; None: too little was measured to tell."""
        value, error = self.value(metric), self.error(metric)
        if value is None or error is None:
            return None
        far = reach(error, TAIL)
        return (value * math.exp(-far), value * math.exp(far)) if far <= WIDEST else None

    def kept(self, slo: dict[str, float]) -> tuple[int, int]:
        """How many of its measured requests kept every target, of how many."""
        targets = tuple(slo.items())
        if targets not in self._kept:
            self._kept[targets] = self._kept_anew(slo)
        return self._kept[targets]

    @cached_property
    def _kept(self) -> dict[tuple[tuple[str, float], ...], tuple[int, int]]:
        return {}

    def _kept_anew(self, slo: dict[str, float]) -> tuple[int, int]:
        every = [
            request
            for run, level in zip(self.runs, self.levels, strict=True)
            for request in run.session.levels[level.level].requests
        ]
        return kept_of(every, slo)


def candidates(runs: Sequence[Run]) -> list[Candidate]:
    """Every level that ran to its end with all requests complete, runs of one setting together."""
    found = []
    for group in _settings(runs):
        for key in dict.fromkeys(f.concurrency for run in group for f in run.figures):
            measured = [
                (run, figures)
                for run in group
                for figures in run.figures
                if figures.concurrency == key and usable(figures)
                and not never_reached(run.session, figures)
                and figures.output_rate and figures.e2e
            ]  # fmt: skip
            if measured:
                runs_of, levels = zip(*measured, strict=True)
                found.append(Candidate(runs_of, levels))
    return found


def _settings(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs, those of one setting together."""
    groups: list[list[Run]] = []
    for run in runs:
        alike = next((group for group in groups if same_setting(group[0], run)), None)
        if alike is None:
            groups.append([run])
        else:
            alike.append(run)
    return groups


def told_apart(one: Candidate, best: Candidate, metric: str, among: int = 2) -> bool:
    """Whether a candidate differs from the best of so many by more than could be chance, or than
    matters."""
    ours, theirs = one.value(metric), best.value(metric)
    if one is best or not ours or not theirs:
        return one is not best
    log = math.log(ours / theirs)
    if abs(math.expm1(log)) <= CLOSE:
        return False
    errors = [error for error in (one.error(metric), best.error(metric)) if error is not None]
    if len(errors) < 2:
        return True  # nothing says how far they could be off; that is told with the figure
    if one.run is best.run and len(one.runs) == 1:
        own = spread_of(metric, one.run.on_processor) ** 2  # which two runs would not share
        errors = [Error(max(e.variance - own, 0.0), e.freedom) for e in errors]
        errors.append(one_run(one.run.on_processor))
    return decide(log, added(errors), TAIL / max(among - 1, 1)).way in ("up", "down")
