"""Axes that read well with one level and with twenty. Knows matplotlib's axes, no measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from llamatop.text.formatting import number

_DIGIT = 0.095
"""Inches that a digit of a tick's label takes."""


def concurrency_axis(axes: Axes, levels: Sequence[float], open_loop: bool = False) -> None:
    """The x axis of levels: a tick at each, labels where there is room.

    `open_loop`: they are what was in flight on average, not what was asked for.
    """
    low, high = min(levels), max(levels)
    doubling = high >= 8 * low and len(levels) > 2 and not _even(levels)
    if doubling:
        axes.set_xscale("log", base=2)
        axes.set_xlim(low / 1.15, high * 1.15)
    else:
        pad = 0.04 * (high - low) or 0.5
        axes.set_xlim(low - pad, high + pad)
    wanted = sorted(set(levels))
    axes.xaxis.set_major_locator(FixedLocator(labelled(axes, wanted)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.xaxis.set_minor_locator(FixedLocator(wanted))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("requests in flight, mean" if open_loop else "concurrency (requests in flight)")


def _even(levels: Sequence[float]) -> bool:
    """Whether the levels stand at equal distances."""
    ordered = sorted(set(levels))
    return len({b - a for a, b in pairwise(ordered)}) == 1


def extent(axes: Axes) -> tuple[float, float]:
    """Width and height of the axes in inches."""
    box, figure = axes.get_position(), axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes stand in no figure")
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()


def labelled(axes: Axes, levels: Sequence[float]) -> list[float]:
    """The levels whose labels do not touch; the last one always."""
    width, _ = extent(axes)
    kept: list[float] = []
    for level in reversed(levels):
        if not kept or _apart(axes, level, kept[-1]) * width > _room(level, kept[-1]):
            kept.append(level)
    return kept[::-1]


def _apart(axes: Axes, first: float, second: float) -> float:
    """How far two values are apart, as a share of the axis."""
    low, high = axes.get_xlim()
    if axes.get_xscale() == "log":
        return math.log(second / first) / math.log(high / low)
    return (second - first) / (high - low)


def _room(first: float, second: float) -> float:
    return _DIGIT * (len(str(first)) + len(str(second))) / 2 + 0.08


def from_zero(axes: Axes, highest: float) -> None:
    """The y axis begins at 0 and leaves room above the highest value."""
    axes.set_ylim(0, highest * 1.12 if highest > 0 else 1)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(short_numbers(highest))
    axes.yaxis.set_minor_locator(NullLocator())


def short_numbers(highest: float) -> FuncFormatter:
    """Labels of an axis that ends there: 20,000, but 200k."""
    letter, one = next((unit for unit in _THOUSANDS if highest >= max(unit[1], 1e5)), ("", 1.0))
    return FuncFormatter(lambda value, _: f"{value / one:,.10g}{letter if value else ''}")


_THOUSANDS = (("G", 1e9), ("M", 1e6), ("k", 1e3))

_FAR = 30
"""From this ratio of the largest to the smallest value on, some would be lost at the foot."""


def apart(axes: Axes, values: Sequence[float]) -> None:
    """The y axis of values that lie too far apart to stand on one scale: a logarithmic one."""
    values = [value for value in values if value > 0]
    if not values or max(values) < _FAR * min(values):
        return
    axes.set_yscale("log")
    axes.set_ylim(min(values) / 1.4, max(values) * 1.6)
    decades, (_, height) = math.log10(max(values) / min(values)), extent(axes)
    steps = next((s for s in _STEPS if decades * len(s) * _LINE < height), _STEPS[-1])
    axes.yaxis.set_major_locator(LogLocator(10, steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 1)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())


_STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Where a decade may have its ticks, the most first."""

_LINE = 0.24
"""Inches of height for a tick's label and the space to the next."""

_BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))
_SECONDS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def byte_unit(values: Sequence[float]) -> tuple[str, float]:
    """The unit in which the largest of some bytes reads well, and its size."""
    return _unit(values, _BYTES)


def second_unit(values: Sequence[float]) -> tuple[str, float]:
    """The unit in which the largest of some seconds reads well, and its size."""
    return _unit(values, _SECONDS)


def _unit(values: Sequence[float], units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    highest = max(values, default=0)
    return next(((name, one) for name, one in units if highest >= one), units[-1])
