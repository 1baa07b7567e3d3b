"""Numbers at fixed places: as `formatting`, but made for columns, where nothing may jump."""

from __future__ import annotations

import math

from llamatop.events.clock import SECOND
from llamatop.text.formatting import number

TIMES = "\u00d7"
"""Before a concurrency: so many at once."""

ROUGH = "~"
"""Before a figure that rests on tokens that nobody counted, or not yet."""

NOTHING = "\u2013"
"""In place of a number that is not known yet."""


def roughly(text: str, rough: bool) -> str:
    """A number as text, marked where it rests on a guess."""
    return f"{ROUGH}{text}" if rough and text != NOTHING else text


def rate(value: float | None) -> str:
    """Tokens per second: one decimal, none from 1,000 on; two below 10."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value >= 999.95:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 9.995 else f"{value:.2f}"


def scale(value: float) -> str:
    """The round number at the top of a chart: `0.3`, `15`, `20,000`."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def latency_unit(seconds: float | None) -> str:
    """The unit in which a row of latencies is written: that of its largest value."""
    return "s" if seconds is not None and math.isfinite(seconds) and seconds >= 0.99995 else "ms"


def latency(seconds: float | None, unit: str) -> str:
    """A latency in `ms` with one decimal or `s` with two."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    return f"{seconds:,.2f}" if unit == "s" else f"{seconds * 1e3:,.1f}"


def cores(percent: float) -> str:
    """What is taken of the processor: `85 % of a core`, `1.5 cores`."""
    return f"{percent:.0f} % of a core" if percent < 99.5 else f"{percent / 100:,.1f} cores"


def span(seconds: float | None) -> str:
    """A latency with its unit in at most seven cells: `12.3 ms`, `1.23 s`, `2:05`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds >= 99.95:
        whole = int(seconds)
        return f"{whole // 60}:{whole % 60:02d}"
    if seconds >= 0.9995:
        return f"{number(seconds)} s"
    milli = seconds * 1e3
    return f"{milli:.1f} ms" if milli < 99.95 else f"{milli:.0f} ms"


def moment(nanoseconds: int, digits: int = 1) -> str:
    """A time of the run: `0:07.3`, `12:34.0`, `1:02:03.4`; with 3 digits `0:07.312`."""
    seconds, part = divmod(max(nanoseconds, 0), SECOND)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    head = f"{hours}:{minute:02d}" if hours else f"{minute}"
    return f"{head}:{second:02d}.{part * 10**digits // SECOND:0{digits}d}"
