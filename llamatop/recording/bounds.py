"""What the numbers of a recorded event may be, checked where events are read: nothing behind asks.

A checksum vouches for bytes, not for sense. Whatever lies outside cannot have been measured: the
row is left out and counted, as one that is no event at all.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping

import msgspec

from llamatop.events.clock import SECOND
from llamatop.events.kinds import KINDS, Event, LevelReported, ReplicaSampled

LATEST = 366 * 24 * 3600 * SECOND
"""Nanoseconds: no run is longer than a year."""

MOST_EACH = 64
"""Tokens that the events of a file may have on average, see `too_many`."""

_AMOUNT = (0, 1 << 60)
"""Bytes, tokens, hertz, FLOP/s: none is negative, and none is larger on this planet."""

_ANY = (-math.inf, math.inf)

_RANGES: dict[str, tuple[float, float]] = {
    "time": (0, LATEST),
    "concurrency": (1, 1_000_000),
    "count": (0, 1 << 40),
    "exit_code": (-(1 << 32), 1 << 32),
    "temperature": (-300, 1_000),
    "value": _ANY,
    "seed": _ANY,
}
"""Of the fields that are no amounts, by name."""

_FOREIGN: tuple[type[Event], ...] = (LevelReported, ReplicaSampled)
"""Kinds that repeat what another program says, NaN too: who reads them knows."""


def fits(event: Event) -> bool:
    """Whether every number of an event can have been measured."""
    for name, low, high in _NUMBERS[type(event)]:
        value = getattr(event, name)
        if type(value) is int:
            if not low <= value <= high:
                return False
        elif value is not None and not _fits(name, value):
            return False
    return True


def _numbers(kind: type[Event]) -> list[tuple[str, float, float]]:
    """The fields of a kind that are or hold numbers, each with its range."""
    if kind in _FOREIGN:
        return [("time", *_RANGES["time"])]
    types = typing.get_type_hints(kind)
    texts = (str, bool)
    names = [name for name in kind.__struct_fields__ if types[name] not in texts]
    return [(name, *_RANGES.get(name, _AMOUNT)) for name in names]


def _fits(name: str, value: object) -> bool:
    match value:
        case bool() | str() | None:
            return True
        case int() | float():
            low, high = _RANGES.get(name, _AMOUNT)
            return low <= value <= high  # NaN is nowhere
        case tuple() | list():
            return all(_fits(name, one) for one in value)
        case Mapping():
            return all(_fits(name, one) for one in value.values())
        case msgspec.Struct():
            return all(_fits(field, getattr(value, field)) for field in value.__struct_fields__)
    return True


_NUMBERS = {kind: _numbers(kind) for kind in KINDS.values()}


def too_many(tokens: int, events: int) -> bool:
    """Whether a file claims more tokens than its events can stand for: each costs memory."""
    return tokens > (1 << 24) + MOST_EACH * events
