"""Areas, bars and histograms made of characters. Knows numbers and cells, no sessions.

What is None or not finite is a gap, never a zero.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

EIGHTHS = " ▁▂▃▄▅▆▇█"

_NICE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def ceiling(value: float) -> float:
    """The next round number at or above a positive value; 1 for nothing."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    scale = float(10 ** math.floor(math.log10(value)))
    return next((nice * scale for nice in _NICE if nice * scale >= value * 0.9999), 10 * scale)


def highest(values: Sequence[float | None]) -> float:
    """The largest finite value; 0 without one."""
    return max((v for v in values if v is not None and math.isfinite(v)), default=0.0)


def area(values: Sequence[float | None], width: int, height: int, top: float) -> list[str]:
    """A filled area of `height` rows, the highest first, the newest value at the right.

    One value in each cell, to an eighth of a row; `top` is the value at the upper edge.
    """
    levels = [_level(value, top, 8 * height) for value in values[-width:]] if width else []
    levels = [0] * (width - len(levels)) + levels
    return _rows(levels, height)


def columns(shares: Sequence[float | None], height: int = 1) -> list[str]:
    """Upright bars, one cell wide, each a share (0 to 1) of the height; rows from the top."""
    return _rows([_level(share, 1.0, 8 * height) for share in shares], height)


def _level(value: float | None, top: float, steps: int) -> int:
    """Eighths above the floor; something is never drawn as nothing."""
    if value is None or not math.isfinite(value) or value <= 0:
        return 0
    return min(max(round(value / top * steps), 1), steps)


def _rows(levels: Sequence[int], height: int) -> list[str]:
    """Upright bars of so many eighths, cut into rows."""
    bars = [("█" * (level // 8) + EIGHTHS[level % 8]).ljust(height)[:height] for level in levels]
    return ["".join(row) for row in zip(*bars, strict=True)][::-1] or [""] * height


def bar(share: float | None, width: int) -> tuple[str, str]:
    """A lying bar in two parts: what is done and what is left, to half a cell; full at 1 alone."""
    if share is None or not math.isfinite(share):
        return "", "─" * width
    halves = round(min(max(share, 0.0), 1.0) * 2 * width)
    halves = min(halves, 2 * width - 1) if share < 1 else halves
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    return done, "─" * (width - len(done))


def histogram(ordered: Sequence[float], bins: int, low: float, high: float) -> list[int]:
    """How many values lie in each of `bins` equal ratios from `low` to `high` (both above 0).

    The values are in ascending order; those outside count in the first or the last.
    """
    ratio = high / low
    inner = [bisect_left(ordered, low * ratio ** (i / bins)) for i in range(1, bins)]
    places = [0, *inner, len(ordered)]
    return [after - before for before, after in pairwise(places)]


def shares(counts: Sequence[int]) -> list[float]:
    """Each count as a share of the largest."""
    most = max(counts, default=0)
    return [count / most if most else 0.0 for count in counts]
