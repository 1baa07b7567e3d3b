"""How much two runs of one thing may differ where nothing was changed.

What one recording holds cannot know it: a process gets other memory, a machine another mood. So
where there is one run of each side, this much is allowed for; where there are several, they say it
themselves. Measured on one machine, and no measurement of the machine at hand: see
`docs/deciding.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from llamatop.figures.deciding import NONE, Error

PROCESSOR: Mapping[str, float] = {
    "": 0.19, "ttft_s": 0.21, "tpot_s": 0.24, "itl_s": 0.24,
}  # fmt: skip
"""The standard deviation of the logarithm of a figure from run to run where a processor computes,
by the figure's name before the point (empty: every other figure). 20 runs of `demo` one after
another varied by 0.139, 0.153 and 0.172; these are the upper limits (95 %, chi-squared) of that. By
`python benchmarks/decide.py measure`, a virtual machine of two cores with nothing else running,
2026-11-30."""

ELSEWHERE: Mapping[str, float] = {"": 0.02, "ttft_s": 0.03}
"""Of what an accelerator or another machine computes: an assumption, not measured."""

LEVELS_APART = 0.15
"""The same of the quotient of a figure at two levels of one run of a processor, which share its
mood in part: throughput and E2E varied by 0.152, TTFT by 0.140 over those 20 runs. Elsewhere
nothing is allowed for."""

FREEDOM = 19
"""Degrees of freedom with which these count as known: those of 20 runs."""


def spread_of(metric: str, on_processor: bool) -> float:
    """The standard deviation of the logarithm of a figure from one run to the next."""
    table = PROCESSOR if on_processor else ELSEWHERE
    return table.get(metric.partition(".")[0], table[""])


def one_run(on_processor: bool) -> Error:
    """The error of the quotient of two levels of one run, beside what varied within each."""
    return Error(LEVELS_APART**2, FREEDOM) if on_processor else NONE


def one_run_each(*spreads: float) -> Error:
    """The error that one run of each side does not know of itself, from the spread of each."""
    return Error(sum(spread**2 for spread in spreads), FREEDOM)
