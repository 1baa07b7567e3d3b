"""When requests of an open loop arrive: drawn from the seed, or as a file tells. Waits for none.

Gaps are gamma-distributed with the burstiness as their shape, as vLLM's bench has them: 1 is a
Poisson process, less comes in bursts, more comes evenly.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from math import sqrt

from llamatop.settings.arrivals import Ramp
from llamatop.settings.config import RunConfig


def arrivals(config: RunConfig, level: int, times: Sequence[float]) -> Iterator[float] | None:
    """Seconds from each arrival to the next, the same for the same seed; None: a closed loop.

    `times` are those of a file that is replayed, in their order (s).
    """
    if config.replayed:
        return _gaps([(time - times[0]) / config.speed for time in times])
    seeded = random.Random(f"{config.seed} {level}")
    if config.ramp is not None and config.max_time is not None:
        return _ramped(config.ramp, config.max_time, _unit(config.burstiness, seeded))
    rate = config.rate
    if rate is None:
        return None
    unit = _unit(config.burstiness, seeded)
    return (unit() / rate for _ in itertools.count())


def _unit(burstiness: float, seeded: random.Random) -> Callable[[], float]:
    """Draws of mean 1."""
    if burstiness == 1:
        return lambda: seeded.expovariate(1.0)
    return lambda: seeded.gammavariate(burstiness, 1 / burstiness)


def _ramped(ramp: Ramp, seconds: float, unit: Callable[[], float]) -> Iterator[float]:
    """Gaps of a rate that goes evenly from one value to another, and stays there.

    A unit draw is how many arrivals are expected in a gap; the time by which so many are is found.
    """
    first, last = ramp
    steeper, before, expected = (last - first) / seconds, 0.0, 0.0
    on_ramp = (first + last) / 2 * seconds
    while True:
        expected += unit()
        if expected <= on_ramp:
            root = first * first + 2 * steeper * expected
            at = 2 * expected / (first + sqrt(max(root, 0.0)))
        elif last > 0:
            at = seconds + (expected - on_ramp) / last
        else:
            return
        yield at - before
        before = at


def _gaps(times: Sequence[float]) -> Iterator[float]:
    return (after - before for before, after in itertools.pairwise([0.0, *times]))
