"""What the screen itself takes: time of a frame, share of a core, and how far it is behind.

Knows its own process only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from llamatop.events.clock import SECOND

LATE = 2 * SECOND
"""Nanoseconds from which it is worth a word that events come late."""


class Meter(Protocol):
    """Tells what drawing costs."""

    def frame(self, draw: Callable[[], None]) -> None:
        """Draw once, and measure it."""

    def lag(self, behind: int | None, late: int) -> None:
        """After a frame: events that wait by now, and how late (ns) the oldest one came.

        None: the source has no such thing.
        """

    def told(self) -> str:
        """The cost in a few words; empty when it is not measured."""


class OwnCost:
    """Measured over about two seconds: the newest frame and the mean share of a core."""

    def __init__(self) -> None:
        self._told = ""
        self._since = time.monotonic()
        self._used = time.process_time()
        self._spent = 0.0
        self._frames = 0
        self._behind: int | None = None
        self._late = 0

    def frame(self, draw: Callable[[], None]) -> None:
        """Draw once, and measure it."""
        began = time.perf_counter()
        draw()
        self._spent += time.perf_counter() - began
        self._frames += 1
        passed = time.monotonic() - self._since
        if passed >= 2:
            used = time.process_time()
            share = (used - self._used) / passed
            cost = f"{self._spent / self._frames * 1e3:4.1f} ms {share * 100:3.0f} % cpu"
            self._told = cost + self._lag_told()
            self._since, self._used = time.monotonic(), used
            self._spent, self._frames = 0.0, 0
            self._behind, self._late = None, 0

    def lag(self, behind: int | None, late: int) -> None:
        """The most of about two seconds."""
        if behind is not None:
            self._behind = max(behind, self._behind or 0)
            self._late = max(late, self._late)

    def _lag_told(self) -> str:
        if self._behind is None:
            return ""
        late = f", {self._late / SECOND:.1f} s late" if self._late >= LATE else ""
        return f" {self._behind:>3,} behind{late}"

    def told(self) -> str:
        """As ` 2.1 ms   6 % cpu   0 behind`."""
        return self._told


class NoCost:
    """Measures nothing: for screenshots that are the same every time."""

    def frame(self, draw: Callable[[], None]) -> None:
        """Draw once."""
        draw()

    def lag(self, behind: int | None, late: int) -> None:
        """Nothing."""

    def told(self) -> str:
        """Nothing."""
        return ""
