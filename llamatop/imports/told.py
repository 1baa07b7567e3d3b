"""What another tool tells of a run, in one shape whatever the tool; times in its clock, as ns.

Unknown is None. A request either has the time of each of its chunks, or only when its first token
came (`chunks` has that one) and by when the rest had (`rest_at`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import TokensBy

LONGEST = 60 * 24 * 3600 * SECOND
"""A run that seems to last longer (ns) has times that cannot be its own."""

MOST_TOKENS = 2**31 - 1

End = Literal["done", "failed", "cancelled"]


@dataclass(slots=True)
class Told:
    """One request."""

    sent: int
    ended: int
    scheduled: int | None = None
    """When it should have been sent, where the tool tells that apart."""
    chunks: Sequence[int] | NDArray[np.int64] = ()
    """When each chunk with tokens arrived, in order."""
    rest_at: int | None = None
    """By when all tokens after those of `chunks` had come, where their own times are not kept."""
    rest: int | None = None
    """How many those are."""
    tokens: int | None = None
    """Output tokens in all, as somebody counted them; None: the chunks are all that is known."""
    by: TokensBy = "usage"
    prompt: int | None = None
    cached: int | None = None
    asked: int | None = None
    """Output tokens asked for."""
    end: End = "done"
    error: str = ""
    warmup: bool = False
    texts: Sequence[str] = ()
    """Of each chunk, or one for all of them; empty: not kept."""


@dataclass(slots=True)
class Stretch:
    """One level, in which the load was the same."""

    requests: list[Told]
    concurrency: int | None = None
    """None: not limited, or not told."""
    figures: dict[str, float] = field(default_factory=dict)
    """The tool's own, see `events.kinds.LevelReported`."""


@dataclass(slots=True)
class Run:
    """All that a result file tells of a run with a timeline."""

    tool: str
    title: str
    file: str
    clock: str
    levels: list[Stretch]
    version: str | None = None
    model: str | None = None
    started_at: str = ""
    """UTC, ISO 8601; empty: not known."""
    rate: float | None = None
    notes: list[str] = field(default_factory=list)


def seconds(value: float | None, what: str) -> int:
    """Seconds as whole ns; InputError where they are none, or none that a clock shows."""
    if value is None or not abs(value) < 1e10:  # which NaN is not
        raise InputError(f"{what}: {value!r} is no time")
    whole = int(value)  # by itself: a time of day times 10^9 is rounded to 256 ns
    return whole * SECOND + round((value - whole) * SECOND)


def utc(ns: int) -> str:
    """A time of day (epoch ns) in words; empty where it is none."""
    try:
        return datetime.fromtimestamp(ns / SECOND, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def nanoseconds(value: int | float | None, what: str) -> int:
    """The same of nanoseconds."""
    if value is None or not abs(value) < 9e18:
        raise InputError(f"{what}: {value!r} is no time")
    return round(value)


def count(value: float | None) -> int | None:
    """A count of tokens; None where it is none."""
    if value is None or not 0 <= value <= MOST_TOKENS or value != int(value):
        return None
    return int(value)
