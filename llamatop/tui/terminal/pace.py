"""How often the screen is drawn: rarely beside an engine on the processor that draws it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from textual.timer import Timer

    from llamatop.events.kinds import ModelLoaded

CPU_HZ = 1.0
"""Redraws per second while the engine decodes on the CPU that also draws."""

CPU_NICE = 10
"""How far the screen steps back from such an engine."""


class SetsInterval(Protocol):
    """Calls something every so many seconds, as Textual's apps and widgets do."""

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer:
        """From now on, until the timer is stopped."""


class Pace:
    """Calls `tick` so many times a second."""

    def __init__(self, hz: float, tick: Callable[[], None]) -> None:
        self.hz = hz
        """How often now."""
        self._wished = hz
        self._tick = tick
        self._sets: SetsInterval | None = None
        self._timer: Timer | None = None

    def begin(self, sets: SetsInterval) -> None:
        """Tick from now on."""
        self._sets = sets
        self._start()

    def suit(self, model: ModelLoaded | None) -> None:
        """Keep the pace that suits the model that runs here; None: none does."""
        shared = model is not None and model.device == "cpu" and model.engine != "scripted"
        hz = min(self._wished, CPU_HZ) if shared else self._wished
        if hz == self.hz:
            return
        if hz < self.hz:
            with suppress(OSError):
                os.nice(CPU_NICE)
        self.hz = hz
        self._start()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._sets is not None:
            self._timer = self._sets.set_interval(1 / self.hz, self._tick)
