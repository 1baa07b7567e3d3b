"""How often the screen is drawn: rarely beside a model that computes on the cores that draw it.

Of a server on this machine it is not known where its model is: what counts is whether the cores
have nothing left to draw with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from llamatop.settings.servers import is_here

if TYPE_CHECKING:
    from textual.timer import Timer

    from llamatop.events.kinds import HostSampled
    from llamatop.session.reducer import Session

CPU_HZ = 1.0
"""Redraws per second while the model computes on the CPU that also draws."""

CPU_NICE = 10
"""How far the screen steps back from such a model."""

BUSY, IDLE = 75.0, 50.0
"""Percent of all cores: from where nothing is left to draw with, and until where that holds."""

SAMPLES = 4
"""Looks at the cores that count together."""


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
        self._nice = False

    def begin(self, sets: SetsInterval) -> None:
        """Tick from now on."""
        self._sets = sets
        self._start()

    def suit(self, session: Session | None) -> None:
        """Keep the pace that suits the live run of this session; None: there is none."""
        rare = session is not None and shares_processor(session, self.hz != self._wished)
        hz = min(self._wished, CPU_HZ) if rare else self._wished
        if hz == self.hz:
            return
        if rare and not self._nice:
            self._nice = True
            with suppress(OSError):
                os.nice(CPU_NICE)
        self.hz = hz
        self._start()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._sets is not None:
            self._timer = self._sets.set_interval(1 / self.hz, self._tick)


def shares_processor(session: Session, before: bool) -> bool:
    """Whether the model of a run computes on the cores that draw it; `before`: was told last."""
    model = session.model
    if model is None or model.engine == "scripted":
        return False
    if model.engine != "server" or session.started is None:
        return model.device == "cpu"
    return any(map(is_here, session.started.config.urls)) and are_busy(session.host, before)


def are_busy(samples: Sequence[HostSampled], before: bool) -> bool:
    """Whether the cores are, by the last looks; a little less keeps them so than makes them."""
    shares = [percent for sample in samples[-SAMPLES:] for percent in sample.cpu_percent]
    return bool(shares) and sum(shares) / len(shares) > (IDLE if before else BUSY)
