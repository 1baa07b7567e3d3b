"""How often the interval that ends a level with `--until-ci` holds the true throughput.

Simulates levels whose windows all have the same tokens and take about a second: 5 % more or less,
each as much like the one before it as the correlation says (a first-order autoregression). Their
true throughput is known. A level ends as a real one does, when `Windows.known_to` says so; a 95 %
interval should hold the truth in 95 of 100 levels, though it was waited for.

    python benchmarks/until_ci.py --quick
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.figures.steady import Windows

CORRELATIONS = (0.0, 0.3, 0.5, 0.8)
SHARES = (0.01, 0.02, 0.05)
"""Of the throughput: half of the interval that is waited for."""

SPREAD = 0.05
TOKENS = 1_000
MOST = 20_000
"""Windows after which a level is given up; none should need so many."""


class Ended(NamedTuple):
    """How one simulated level ended."""

    holds: bool
    """Whether its interval holds the truth."""
    windows: int
    """How many it took."""


def durations(correlation: float, rng: random.Random) -> Iterator[float]:
    """Seconds of one window after another; their mean is 1."""
    fresh = SPREAD * math.sqrt(1 - correlation**2)
    off = rng.gauss(0, SPREAD)
    while True:
        yield 1 + off
        off = correlation * off + rng.gauss(0, fresh)


def level(correlation: float, share: float, rng: random.Random) -> Ended | None:
    """One level up to its end; None where it found none."""
    windows, now = Windows(1), 0
    windows.begin(0)
    for number, seconds in enumerate(durations(correlation, rng), 1):
        now += round(seconds * SECOND)
        if windows.complete(now, TOKENS) and windows.known_to(share):
            steady = windows.steady(waited=True)
            if steady is not None:
                return Ended(abs(steady.rate - TOKENS) <= steady.half_width, number)
        if number == MOST:
            return None
    return None


def show(runs: int, sets: int, seed: int) -> None:
    """A line for each correlation and each interval waited for."""
    print("correlation  waited for  holds the truth  in each set        median windows  not ended")
    for correlation in CORRELATIONS:
        for share in SHARES:
            rngs = [random.Random(f"{seed} {part} {correlation} {share}") for part in range(sets)]
            made = [[level(correlation, share, rng) for _ in range(runs)] for rng in rngs]
            ended = [[one for one in part if one is not None] for part in made]
            every = [one for part in ended for one in part]
            held = sorted(sum(one.holds for one in part) / len(part) for part in ended)
            print(
                f"{correlation:<11}  ± {share:<8.0%}  {sum(one.holds for one in every):>5} of "
                f"{len(every):<6}  {held[0]:6.1%} to {held[-1]:6.1%}  "
                f"{statistics.median(one.windows for one in every):>14.0f}  "
                f"{runs * sets - len(every):>9}",
                flush=True,
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300, help="levels of a set (300)")
    parser.add_argument("--sets", type=int, default=3, help="of each kind (3)")
    parser.add_argument("--quick", action="store_true", help="one set only: seconds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    began = time.perf_counter()
    sets = 1 if args.quick else args.sets
    show(args.runs, sets, args.seed)
    print(f"{args.runs * sets} levels of each kind, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
