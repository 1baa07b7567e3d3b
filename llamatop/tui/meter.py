"""What the screen itself takes: time of a frame, share of a core. Knows its own process only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Meter(Protocol):
    """Tells what drawing costs."""

    def frame(self, draw: Callable[[], None]) -> None:
        """Draw once, and measure it."""

    def told(self) -> str:
        """The cost in a few words; empty when it is not measured."""
        ...


class OwnCost:
    """Measured over about two seconds: the newest frame and the mean share of a core."""

    def __init__(self) -> None:
        self._told = ""
        self._since = time.monotonic()
        self._used = time.process_time()
        self._spent = 0.0
        self._frames = 0

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
            self._told = f"{self._spent / self._frames * 1e3:4.1f} ms {share * 100:3.0f} % cpu"
            self._since, self._used = time.monotonic(), used
            self._spent, self._frames = 0.0, 0

    def told(self) -> str:
        """As ` 2.1 ms   6 % cpu`."""
        return self._told


class NoCost:
    """Measures nothing: for screenshots that are the same every time."""

    def frame(self, draw: Callable[[], None]) -> None:
        """Draw once."""
        draw()

    def told(self) -> str:
        """Nothing."""
        return ""
