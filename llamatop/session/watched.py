"""What watched servers told, folded: the newest values, and a history that gets coarser with age.

A counter is kept as what it has grown by since it was first told, over restarts, so a difference
of two moments is never negative. Knows no metric by name; rates and percentiles are for `figures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import structs

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    AlertChanged,
    Event,
    ReplicaSampled,
    SecondsThinned,
    ServerSeen,
    ServerStood,
    ServerWeighed,
    SlotFacts,
    SlotsSampled,
)
from llamatop.session.thinning import due, thinned

RESOLUTION = 512
"""Samples lie no further apart than their age over this."""

WHOLE = 90 * SECOND
"""For how long (ns) a sample keeps its histograms: the longest window of percentiles, and a bit."""

Grown = Mapping[str, float]


class Sample(msgspec.Struct, frozen=True):
    """All that was known of a replica at one moment; nobody changes the mappings."""

    time: int
    gauges: Grown
    grown: Grown
    """What each counter has grown by since it was first told, as far as it was told."""
    buckets: Mapping[str, Grown]
    """Observations of each bucket since it was first told; empty in old samples."""
    gone: frozenset[str] = frozenset()
    """Counters that are told no more."""

    @property
    def counters(self) -> Grown:
        """What each has grown by that is told still."""
        if not self.gone:
            return self.grown
        return {name: value for name, value in self.grown.items() if name not in self.gone}


class SlotSample(msgspec.Struct, frozen=True):
    """The slots of a server together at one moment; tokens."""

    time: int
    busy: int
    prefilling: int
    decoded: int
    """Generated so far by the answers that are being generated."""
    prefilled: int
    """Computed so far of the prompts that are being computed."""
    ended: int
    """Generated, as seen last, by answers that have left their slots since the watch began."""
    held: int
    """In the contexts of busy slots."""


@dataclass(slots=True)
class Replica:
    """One replica of a server."""

    samples: list[Sample] = field(default_factory=list)
    """Oldest first; the newest is what it tells now."""
    told: dict[str, float] = field(default_factory=dict)
    """Counters as they were told last."""
    counted: dict[str, dict[str, float]] = field(default_factory=dict)
    """Likewise the buckets of histograms."""
    restarts: list[int] = field(default_factory=list)
    """When a counter fell (ns)."""

    @property
    def now(self) -> Sample:
        """The newest sample; raises IndexError where none came."""
        return self.samples[-1]

    def copy(self) -> Replica:
        """One that goes on by itself."""
        counted = {name: told.copy() for name, told in self.counted.items()}
        return replace(
            self,
            samples=self.samples.copy(),
            told=self.told.copy(),
            counted=counted,
            restarts=self.restarts.copy(),
        )

    def fold(self, event: ReplicaSampled) -> bool:
        """Take one sample in; whether the server had begun again."""
        before = self.samples[-1] if self.samples else Sample(event.time, {}, {}, {})
        fell = self._fell(event)
        if fell:
            self.restarts.append(event.time)
        gauges = _gauges(before.gauges, event.gauges) if event.gauges else before.gauges
        counters = {name: value for name, value in event.counters.items() if value is not None}
        grown = self._grow(before, counters, fell)
        buckets = self._observe(before, event.buckets, fell)
        gone = (before.gone | event.counters.keys()) - counters.keys()
        self.samples.append(Sample(event.time, gauges, grown, buckets, gone))
        self._thin()
        return fell

    def _fell(self, event: ReplicaSampled) -> bool:
        told = self.told
        return any(
            value is not None and value < told.get(name, value)
            for name, value in event.counters.items()
        ) or any(
            value < self.counted.get(name, {}).get(bound, value)
            for name, bounds in event.buckets.items()
            for bound, value in bounds.items()
        )

    def _grow(self, before: Sample, counters: Grown, fell: bool) -> Grown:
        if not counters and not fell:
            return before.grown
        grown = dict(before.grown)
        for name, value in counters.items():
            first = name not in self.told
            since = value if first else 0.0 if fell else self.told[name]
            grown[name] = before.grown.get(name, 0.0) + value - since
            self.told[name] = value
        if fell:
            self.told = {name: counters.get(name, 0.0) for name in self.told}
        return grown

    def _observe(
        self, before: Sample, buckets: Mapping[str, Grown], fell: bool
    ) -> Mapping[str, Grown]:
        if not buckets and not fell:
            return before.buckets
        grown = dict(before.buckets)
        for name, bounds in buckets.items():
            told = self.counted.setdefault(name, {})
            known, so_far = bool(told), before.buckets.get(name, {})
            more = {} if fell else dict(so_far)
            for bound, value in bounds.items():
                since = 0.0 if fell else told.get(bound, 0.0 if known else value)
                more[bound] = so_far.get(bound, 0.0) + value - since
                told[bound] = value
            grown[name] = more
        if fell:
            for name, told in self.counted.items():
                present = buckets.get(name, {})
                self.counted[name] = {bound: present.get(bound, 0.0) for bound in told}
        return grown

    def _thin(self) -> None:
        """Old samples lose their histograms, and get fewer."""
        samples = self.samples
        if len(samples) < 2 or not due(samples[-2].time, samples[-1].time):
            return
        now = samples[-1].time
        few = thinned(samples, lambda sample: None, (), RESOLUTION)
        self.samples = [
            one if not one.buckets or now - one.time <= WHOLE else structs.replace(one, buckets={})
            for one in few
        ]


@dataclass(slots=True)
class Watched:
    """One watched server."""

    seen: ServerSeen | None = None
    stood: ServerStood | None = None
    """How it stands; None: it was not asked yet."""
    was_up: int | None = None
    """When it told something last (ns)."""
    replicas: dict[str, Replica] = field(default_factory=dict)
    slots: dict[int, SlotFacts] = field(default_factory=dict)
    slot_samples: list[SlotSample] = field(default_factory=list)
    """All slots together, oldest first."""
    weighed: ServerWeighed | None = None
    peak_bytes: int | None = None
    """The most that its processes held in memory."""
    peak_device_bytes: int | None = None
    every: int = 1
    """Seconds between two samples."""
    alerts: dict[tuple[str, str], AlertChanged] = field(default_factory=dict)
    """Limits that are broken, by replica and rule."""

    def copy(self) -> Watched:
        """One that goes on by itself."""
        replicas = {name: replica.copy() for name, replica in self.replicas.items()}
        return replace(
            self,
            replicas=replicas,
            slots=self.slots.copy(),
            slot_samples=self.slot_samples.copy(),
            alerts=self.alerts.copy(),
        )

    def take_slots(self, event: SlotsSampled) -> None:
        """Take the slots that changed."""
        ended = self.slot_samples[-1].ended if self.slot_samples else 0
        for slot in event.slots:
            ended += _left(self.slots.get(slot.id), slot)
            self.slots[slot.id] = slot
        self.slot_samples.append(_together(event.time, self.slots.values(), ended))
        samples = self.slot_samples
        if len(samples) > 1 and due(samples[-2].time, samples[-1].time):
            samples[:] = thinned(samples, lambda sample: None, (), RESOLUTION)


WATCH = (
    ServerSeen
    | ServerStood
    | ReplicaSampled
    | SlotsSampled
    | ServerWeighed
    | SecondsThinned
    | AlertChanged
)
"""The events of a watch."""


def fold(watched: dict[int, Watched], event: WATCH) -> list[Event]:
    """Fold one event in; what a person should be told of."""
    server = watched.setdefault(event.server, Watched())
    match event:
        case ReplicaSampled():
            server.was_up = event.time
            fell = server.replicas.setdefault(event.replica, Replica()).fold(event)
            return [event] if fell else []
        case SlotsSampled():
            server.was_up = event.time
            server.take_slots(event)
        case ServerWeighed():
            server.weighed = event
            server.peak_bytes = _most(server.peak_bytes, event.resident_bytes)
            server.peak_device_bytes = _most(server.peak_device_bytes, event.device_bytes)
        case ServerSeen():
            server.seen = event
        case SecondsThinned():
            server.every = event.every
        case ServerStood():
            server.stood = event
            return [event]
        case AlertChanged():
            key = event.replica, event.rule
            if event.on:
                server.alerts[key] = event
            else:
                server.alerts.pop(key, None)
            return [event]
    return []


def _left(before: SlotFacts | None, now: SlotFacts) -> int:
    """Tokens of an answer that is not in its slot any more."""
    if before is None or not before.busy or (now.busy and now.task == before.task):
        return 0
    return before.decoded or 0


def _together(time: int, slots: Iterable[SlotFacts], ended: int) -> SlotSample:
    busy = [slot for slot in slots if slot.busy]
    prefilling = [slot for slot in busy if not slot.decoded]
    return SlotSample(
        time,
        len(busy),
        len(prefilling),
        sum(slot.decoded or 0 for slot in busy),
        sum(slot.prompt or 0 for slot in prefilling),
        ended,
        sum(slot.held or 0 for slot in busy),
    )


def _gauges(before: Grown, changed: Mapping[str, float | None]) -> Grown:
    merged: dict[str, float | None] = {**before, **changed}
    return {name: value for name, value in merged.items() if value is not None}


def _most(before: int | None, now: int | None) -> int | None:
    known = [value for value in (before, now) if value is not None]
    return max(known, default=None)
