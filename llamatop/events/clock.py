"""The one clock of a run: integer nanoseconds since it began, on the machine's monotonic clock.

Every process of a run shares the origin, so that their times can be compared. Nothing here
knows the time of day.
"""

from __future__ import annotations

import time
from threading import Condition
from typing import Protocol

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


class Clock(Protocol):
    """What a run needs of time."""

    def now(self) -> int:
        """Nanoseconds since the run began."""

    def sleep_until(self, when: int) -> None:
        """Return when `now()` has reached `when` (nanoseconds)."""

    def wait(self, changed: Condition, until: int | None) -> None:
        """Wait for what is held to be notified, until then (ns) at most; None: however long."""


class MonotonicClock:
    """The real clock: `time.monotonic_ns` counted from `origin`."""

    def __init__(self, origin: int | None = None) -> None:
        self.origin = time.monotonic_ns() if origin is None else origin

    def now(self) -> int:
        """Nanoseconds since the origin."""
        return time.monotonic_ns() - self.origin

    def sleep_until(self, when: int) -> None:
        """Sleep till `when`; returns at once if it has passed."""
        rest = when - self.now()
        if rest > 0:
            time.sleep(rest / SECOND)

    def wait(self, changed: Condition, until: int | None) -> None:
        """Wait a tenth of a millisecond at least."""
        rest = None if until is None else max((until - self.now()) / SECOND, 0.0001)
        changed.wait(rest)


class ManualClock:
    """A clock that moves only when told to, for tests and screenshots."""

    def __init__(self, time: int = 0) -> None:
        self.time = time

    def now(self) -> int:
        """The time last set."""
        return self.time

    def sleep_until(self, when: int) -> None:
        """Jump to `when` if it lies ahead."""
        self.time = max(self.time, when)

    def wait(self, changed: Condition, until: int | None) -> None:
        """Jump to `until`; where nothing lies ahead only another thread can end it."""
        if until is not None and until > self.time:
            self.time = until
        else:
            changed.wait(None if until is None else 0.001)
