"""Moments that the transport bar marks and keys go to: levels, failures, limits, restarts. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    AlertChanged,
    EngineLost,
    Event,
    LevelStarted,
    ReplicaSampled,
    RequestFailed,
    ServerFound,
    ServerLost,
    ServerStood,
)

Mark = tuple[int, str]
"""When (ns), and `level`, `failure`, `alert`, `restart` or `found`."""

WHOLE = 100 * SECOND
"""A skip is of whole seconds in what is as long as this (ns)."""

BURST = SECOND // 10
"""Failures within this (ns) of the first are one moment: out of memory, a whole batch fails."""

BEHIND = SECOND // 2
"""While playing, a moment passed less than this ago (ns) is not the previous one."""

TROUBLES = ("failure", "alert", "restart")
"""Kinds of marks that the key for failures goes to."""

_KINDS: dict[type[Event], str] = {
    LevelStarted: "level",
    RequestFailed: "failure",
    EngineLost: "failure",
    ServerLost: "failure",
    ServerFound: "found",
}


class Marks:
    """When levels began, requests failed, an engine or a server was lost or found again, a server
    began again, and a limit was broken; of a recording that may still grow."""

    def __init__(self) -> None:
        self.told: tuple[Mark, ...] = ()
        """All of them, in order of time."""
        self._found: list[Mark] = []
        self._counters: dict[tuple[int, str], dict[str, float]] = {}
        self._down: dict[int, bool] = {}

    def look(self, events: Iterable[Event]) -> None:
        """Look through the events that come next."""
        found = [mark for event in events if (mark := self._mark(event)) is not None]
        if found:
            self._found += found
            self.told = gathered(self._found)

    def _mark(self, event: Event) -> Mark | None:
        kind = _KINDS.get(type(event))
        if isinstance(event, AlertChanged) and event.on:
            kind = "alert"
        elif isinstance(event, ReplicaSampled) and event.counters:
            told = self._counters.setdefault((event.server, event.replica), {})
            for name, value in event.counters.items():
                if value is None:
                    told.pop(name, None)
                    continue
                if value < told.get(name, value):
                    kind = "restart"
                told[name] = value
        elif isinstance(event, ServerStood):
            down = event.state == "down"
            if down != self._down.get(event.server, False):
                kind = "failure" if down else "found"
            self._down[event.server] = down
        return None if kind is None else (event.time, kind)


def gathered(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """In order of time, and of the failures of one moment the first."""
    kept: list[Mark] = []
    failed = -BURST
    for time, kind in sorted(marks):
        if kind == "failure":
            if time - failed < BURST:
                continue
            failed = time
        kept.append((time, kind))
    return tuple(kept)


def next_of(times: Iterable[int], here: int, direction: int, playing: bool) -> int | None:
    """The nearest of some times after `here`, or before it; None where there is none."""
    if direction > 0:
        return min((time for time in times if time > here), default=None)
    before = here - BEHIND if playing else here
    return max((time for time in times if time < before), default=None)
