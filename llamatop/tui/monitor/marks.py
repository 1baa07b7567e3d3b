"""Moments that the transport bar marks and keys jump to: levels and failures. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from llamatop.events.clock import SECOND
from llamatop.events.kinds import EngineLost, Event, LevelStarted, RequestFailed, ServerLost

Mark = tuple[int, str]
"""When (ns), and `level` or `failure`."""

WHOLE = 100 * SECOND
"""A skip is of whole seconds in what is as long as this (ns)."""

BURST = SECOND // 10
"""Failures within this (ns) of the first are one moment: out of memory, a whole batch fails."""

BEHIND = SECOND // 2
"""While playing, a moment passed less than this ago (ns) is not the previous one."""

_KINDS = {
    LevelStarted: "level",
    RequestFailed: "failure",
    EngineLost: "failure",
    ServerLost: "failure",
}


def marks_of(events: Iterable[Event]) -> tuple[Mark, ...]:
    """When levels began and requests failed, or the engine or a server was lost."""
    return gathered((e.time, _KINDS[type(e)]) for e in events if type(e) in _KINDS)


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
