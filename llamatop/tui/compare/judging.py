"""What the screen tells of a comparison: every difference as texts, and where its interval lies.

The arithmetic is `reports.compare`'s; it takes a while, so a thread does it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamatop.reports.runs import Run
from llamatop.text.formatting import MINUS

if TYPE_CHECKING:
    from llamatop.reports.compare import Comparison
    from llamatop.reports.verdicts import Difference

OPEN = ("same", "undecided")
"""Verdicts that call no difference one."""

NOT_COMPARED = "not compared"
"""Where one of the two is not known there is no verdict."""

FIRST = "output tok/s"
"""The figure that stands for a run."""

SIGNS = {
    "faster": ("▲", "good"),
    "slower": ("▼", "bad"),
    "more": ("+", "warn"),
    "less": (MINUS, "text"),
    "same": ("=", "dim"),
    "undecided": ("?", "dim"),
    NOT_COMPARED: (" ", "dim"),
}
"""A verdict in one cell, and its role."""

_NAMES = {
    "output_tok_s": FIRST,
    "request_s": "requests/s",
    "peak_memory.host_bytes": "engine peak",
    "peak_memory.device_bytes": "device peak",
}
_BEYOND = "> +"
"""Before a change too large to tell; the columns are narrow."""

_NOTES = {
    "too few requests for this percentile": "too few requests",
    "measured once: no interval": "measured once",
    "not measured in both": "not in both",
    "not measured at every level": "not at every level",
    "more runs of both sides would tell": "needs more runs",
}
"""Why there is no interval, in less than its column."""

_WOULD_SHOW = (
    (re.compile(r"about ([\d,]+) more requests a level would show (\S+)"), r"\1 more: \2"),
    (re.compile(r"(--runs \d+) on both sides would show (\S+)"), r"\1: \2"),
    (re.compile(r"more than (\d+) runs of both sides would show (\S+)"), r"over \1 runs: \2"),
)
"""What would decide, likewise."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the other run against the baseline."""

    figure: str
    baseline: str
    other: str
    change: str
    between: str
    """The interval, or why there is none."""
    verdict: str
    point: float | None = None
    """The change as a share."""
    low: float | None = None
    high: float | None = None
    """None: no interval that tells anything."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A run against the baseline."""

    warnings: tuple[str, ...]
    overall: tuple[Row, ...]
    levels: dict[int, tuple[Row, ...]]

    def rows(self, concurrency: int | None) -> tuple[Row, ...]:
        """Those of a level, or of all levels together."""
        return self.overall if concurrency is None else self.levels.get(concurrency, ())


def judge(baseline: Run, other: Run, seed: int = 0) -> Judged:
    """Compare two runs, which takes up to some seconds."""
    from llamatop.reports.compare import compare  # noqa: PLC0415  (numpy: not for the first paint)

    return judged_of(compare(baseline, other, seed))


def judged_of(found: Comparison) -> Judged:
    """A comparison as the screen tells it."""
    levels: dict[int, list[Row]] = {}
    for one in found.levels:
        if one.concurrency is not None:
            levels.setdefault(one.concurrency, []).append(_row(one))
    return Judged(
        tuple(found.warnings),
        tuple(_row(one) for one in found.overall),
        {concurrency: _firsts(rows) for concurrency, rows in levels.items()},
    )


def _firsts(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Of several levels with the same concurrency the first: that whose history is shown."""
    return tuple({row.figure: row for row in reversed(rows)}.values())[::-1]


def _row(one: Difference) -> Row:
    from llamatop.reports.text import difference_cells, tells  # noqa: PLC0415  (numpy)

    _, baseline, other, change, between, verdict = difference_cells(one)
    told = tells(one)
    return Row(
        named(one.metric),
        baseline,
        other,
        change.replace(_BEYOND, ">+"),
        brief(between).replace(_BEYOND, ">+"),
        verdict if one.change is not None else NOT_COMPARED,
        one.change,
        one.low if told else None,
        one.high if told else None,
    )


def brief(between: str) -> str:
    """An interval, or what would decide or why there is none, in less than its column."""
    for told, brief in _WOULD_SHOW:
        between = told.sub(brief, between)
    return _NOTES.get(between, between)


def named(metric: str) -> str:
    """A figure's name on the screen: `ttft_s.p50` is `TTFT p50`."""
    if metric in _NAMES:
        return _NAMES[metric]
    name, _, part = metric.partition("_s.")
    return f"{name.upper()} {part}"
