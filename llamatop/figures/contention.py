"""What takes from a run without being part of it: other processes on its cores, devices that
slow themselves down. Folded from the samples that a session has; knows no screen.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceSampled, HostSampled, ModelLoaded
from llamatop.figures.served import on_servers
from llamatop.session.reducer import Session
from llamatop.session.requests import Level

_Sample = TypeVar("_Sample", HostSampled, DeviceSampled)

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


NOTABLE = 0.25
"""Cores that others must take of those the engine wanted, on average over a level, before a figure
of that level is worth a word; on a quiet machine they take 0.03 to 0.13 of two."""


class Contention(NamedTuple):
    """What a level had of the machine, on average over its samples. Cores; None: not known."""

    others_cores: float | None = None
    """What neither the engine nor the monitor took; never of a run on servers, whose own processes
    would be among the others."""
    engine_cores: float | None = None
    wanting: float = 0.0
    """Cores that the engine's threads and the others wanted beyond those there are."""
    slowed: tuple[str, ...] = ()
    """Why a device ran slower than it could, by nvidia-smi's names."""

    @property
    def notable(self) -> bool:
        """Whether it may be what the level's figures are about."""
        return self.wanting >= NOTABLE or bool(self.slowed)

    @property
    def words(self) -> str:
        """What took from the level; empty where nothing notable did."""
        parts = []
        if self.wanting >= NOTABLE:
            parts.append(
                f"other processes took {self.others_cores:.1f} cores, the engine had "
                f"{self.engine_cores:.1f}"
            )
        if self.slowed:
            parts.append(f"the device slowed itself down ({', '.join(self.slowed)})")
        return "; ".join(parts)


NOTHING_KNOWN = Contention()


def level_contention(session: Session, level: Level) -> Contention:
    """What other processes and the engine took during a level, and whether a device slowed."""
    until = session.now if level.ended is None else level.ended
    slowed = {
        reason
        for samples in session.devices.values()
        for sample in _within(samples, level.started, until)
        for reason in sample.throttle or ()
    }
    told = tuple(sorted(slowed))
    if on_servers(session):
        return Contention(slowed=told)
    pairs = [
        (others, sample.engine_cpu_percent)
        for sample in _within(session.host, level.started, until)
        if (others := others_percent(sample)) is not None and sample.engine_cpu_percent is not None
    ]
    if not pairs:
        return Contention(slowed=told)
    others, engine = (math.fsum(values) / len(pairs) / 100 for values in zip(*pairs, strict=True))
    return Contention(others, engine, max(others - _spare(session), 0.0), told)


def _within(samples: Sequence[_Sample], start: int, end: int) -> Sequence[_Sample]:
    """The samples of a stretch of time (ns); they are in order."""
    time = attrgetter("time")
    return samples[bisect_right(samples, start, key=time) : bisect_right(samples, end, key=time)]


def _spare(session: Session) -> float:
    """Cores that the engine does not ask for."""
    cores = len(session.host[-1].cpu_percent)
    model = session.model
    if model is None:
        return 0.0
    wanted = 1 if model.device != "cpu" else min(model.threads or cores, cores)
    return float(max(cores - wanted, 0))
