"""One plan run several times: each with its levels in another order, bound by a name.

What a machine does to the first level it does to another one the next time. Both sides of a
comparison have the same orders where they have the same seed. Pure.
"""

from __future__ import annotations

import random

import msgspec

from llamatop.settings.config import RunConfig

MAX_RUNS = 999
"""More runs of one plan than this are a typing error rather than a wish."""


def repeats(config: RunConfig, runs: int, name: str) -> list[RunConfig]:
    """The config of each of `runs` runs, bound by `name`; one run is the plan as it is."""
    if runs == 1:
        return [config]
    return [
        msgspec.structs.replace(
            config, concurrency=_order(config, place), repeat=place, repeats=runs, bound=name
        )
        for place in range(1, runs + 1)
    ]


def _order(config: RunConfig, place: int) -> tuple[int, ...]:
    """The levels of a run, each in each place once in as many runs as there are levels.

    A search begins as it was asked to, since what follows depends on it.
    """
    if config.until_oom:
        return config.concurrency
    levels = list(config.concurrency)
    random.Random(config.seed).shuffle(levels)
    turned, first = divmod(place - 1, len(levels))
    levels = levels[first:] + levels[:first]
    return tuple(reversed(levels) if turned % 2 else levels)
