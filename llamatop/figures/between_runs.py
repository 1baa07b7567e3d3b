"""How much two runs of one thing may differ where nothing was changed.

What one recording holds cannot know it: a process gets other memory, a machine another mood. So
where there is one run of each side, this much is allowed for; where there are several, they say it
themselves. An allowance, not a measurement of the machine at hand: see `docs/deciding.md`.
"""

from __future__ import annotations

from llamatop.figures.deciding import Error

SPREADS = {"ttft_s": 0.03}
"""The standard deviation of the logarithm of a figure from run to run, by the figure's name before
the point."""

SPREAD = 0.02
"""Of every other figure."""

FREEDOM = 19
"""Degrees of freedom with which these count as known."""


def spread_of(metric: str) -> float:
    """The standard deviation of the logarithm of a figure from one run to the next."""
    return SPREADS.get(metric.partition(".")[0], SPREAD)


def one_run_each(metric: str) -> Error:
    """The error that one run of each side does not know of itself."""
    return Error(2 * spread_of(metric) ** 2, FREEDOM)
