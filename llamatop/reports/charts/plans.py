"""Runs of one plan (`--runs`) as one line: their mean at each level, and how far they spread.

A run that is bound to no other is a plan by itself. Draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llamatop.events.sanitize import one_line
from llamatop.reports.fairness import same_setting
from llamatop.reports.runs import Run, labels, short

SPREAD = "mean and range of a plan's runs"
"""What a line with a band is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A legend's text, and the runs that it stands for."""

    label: str
    runs: Sequence[Run]


def plans(runs: Sequence[Run]) -> list[Plan]:
    """The runs, those of one plan together, in the order of the first of each."""
    groups: list[list[Run]] = []
    for run in runs:
        name = _bound(run)
        alike = (g for g in groups if name and _bound(g[0]) == name and same_setting(g[0], run))
        group = next(alike, None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    told = labels([group[0] for group in groups]) if len(groups) > 1 else [""]
    return [Plan(_label(text, group), group) for text, group in zip(told, groups, strict=True)]


def _bound(run: Run) -> str:
    started = run.session.started
    return started.config.bound if started is not None else ""


def _label(text: str, group: Sequence[Run]) -> str:
    if len(group) == 1:
        return text
    return f"{text or short(one_line(_bound(group[0])))}, {len(group)} runs"


Point = tuple[float, float | None]


def spread(
    plan: Plan, points: Callable[[Run], list[tuple[int, Point]]]
) -> tuple[list[tuple[float, float]], list[tuple[float, float, float]]]:
    """The mean of each level at its mean place, and (place, lowest, highest) where there are
    several runs; `points` gives those of a run, each with the level's concurrency."""
    levels: dict[int, list[tuple[float, float]]] = {}
    for run in plan.runs:
        for concurrency, (x, y) in points(run):
            if y is not None:
                levels.setdefault(concurrency, []).append((x, y))
    means, bands = [], []
    for found in levels.values():
        x, values = math.fsum(x for x, _ in found) / len(found), [y for _, y in found]
        means.append((x, math.fsum(values) / len(values)))
        if len(plan.runs) > 1:
            bands.append((x, min(values), max(values)))
    return sorted(means), sorted(bands)
