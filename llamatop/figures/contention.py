"""What takes from a run without being part of it: other processes on its cores, devices that
slow themselves down. Folded from the samples that a session has; knows no screen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceSampled, HostSampled, ModelLoaded

WINDOW = 5 * SECOND
"""Nanoseconds over which the share of others is averaged: one sample is too rough."""

BEGINS, ENDS = 30.0, 15.0
"""Percent of a core from which others are worth a word, and below which no longer."""

CALM = 5 * SECOND
"""How long (ns) a device must run freely before its slowdown is over."""


class Episode(NamedTuple):
    """Something that began, or is over (`seconds`: how long it lasted)."""

    time: int
    device: int | None
    """None: the processor's cores."""
    percent: float = 0.0
    """Of one core, that others take."""
    reasons: tuple[str, ...] = ()
    seconds: float | None = None


def others_percent(sample: HostSampled) -> float | None:
    """Percent of one core that neither the engine nor the monitor takes; None: not known."""
    if not sample.cpu_percent or sample.engine_cpu_percent is None:
        return None
    own = sample.engine_cpu_percent + (sample.monitor_cpu_percent or 0.0)
    others = sum(sample.cpu_percent) - own
    return max(others, 0.0) if math.isfinite(others) else None


@dataclass
class Neighbours:
    """Other processes beside an engine that computes on the cores.

    They count as far as the engine's threads and they want more cores than there are.
    """

    percent: float | None = None
    """What they take of one core while that is notable, else None."""
    _newest: deque[tuple[int, float]] = field(default_factory=deque)

    def see(self, sample: HostSampled, model: ModelLoaded | None) -> Episode | None:
        """Look at the next sample; the episode that begins with it, where one does."""
        taken = others_percent(sample)
        if model is None or model.device != "cpu" or taken is None:
            self._newest.clear()
            self.percent = None
            return None
        newest = self._newest
        newest.append((sample.time, taken))
        while sample.time - newest[0][0] > WINDOW:
            newest.popleft()
        return self._weigh(sample, model)

    def _weigh(self, sample: HostSampled, model: ModelLoaded) -> Episode | None:
        newest = self._newest
        mean = sum(taken for _, taken in newest) / len(newest)
        cores = len(sample.cpu_percent)
        crowded = mean - 100.0 * max(cores - (model.threads or cores), 0)
        whole = newest[-1][0] - newest[0][0] >= WINDOW * 4 // 5
        if self.percent is None and not (whole and crowded >= BEGINS):
            return None
        began = self.percent is None
        self.percent = mean if crowded >= ENDS else None
        return Episode(sample.time, None, mean) if began else None


@dataclass
class Slowdown:
    """One device that runs slower than it could: too hot, or at the end of its power."""

    reasons: tuple[str, ...] = ()
    """While it is slowed down: all that was told since it began."""
    _since: int = 0
    _last: int = 0

    def see(self, sample: DeviceSampled) -> Episode | None:
        """Look at the next sample; the episode that begins, grows by a reason, or ends."""
        told = sample.throttle
        if told:
            return self._slow(sample, told)
        over = self.reasons and told is not None and sample.time - self._last >= CALM
        if not over:
            return None
        reasons, self.reasons = self.reasons, ()
        seconds = (self._last - self._since) / SECOND
        return Episode(sample.time, sample.device, reasons=reasons, seconds=seconds)

    def _slow(self, sample: DeviceSampled, told: Iterable[str]) -> Episode | None:
        if not self.reasons:
            self._since = sample.time
        self._last = sample.time
        every = tuple(sorted({*self.reasons, *told}))
        if every == self.reasons:
            return None
        self.reasons = every
        return Episode(sample.time, sample.device, reasons=every)
