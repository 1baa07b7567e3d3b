"""What the numbers of recorded events may be, asked where they are read: nothing behind asks again.

A checksum vouches for bytes, not for sense. What cannot have been measured is left out, and
counted, as a row that is no event at all.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    KINDS,
    MOST_TOKENS,
    Event,
    LevelReported,
    ReplicaSampled,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    TokensSummed,
)
from llamatop.session.blocks import EMISSION, Block

LATEST = 366 * 24 * 3600 * SECOND
"""Nanoseconds: no run is longer than a year."""

OUT_OF_TURN = 60 * SECOND
"""How much earlier an event of one request may be than one of another that was told before it."""

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


_LIVED = (
    RequestQueued, RequestAdmitted, TokensSummed, RequestFinished, RequestFailed, RequestCancelled,
)  # fmt: skip
"""What a request lives through, in this order; its emissions too."""


def sound(block: Block, latest: int) -> tuple[Block, int]:
    """A block without what no run can have told, and how many events that was.

    `latest` is the latest time (ns) of the blocks before it.
    """
    times, counts = np.frombuffer(block.times, np.int64), np.frombuffer(block.counts, np.int32)
    absurd = (times < 0) | (times > LATEST) | (counts < 0) | (counts > MOST_TOKENS)
    absurd[misfits(block.others)] = True
    absurd |= _backwards(block, times, latest)
    if not absurd.any():
        return block, 0
    return block.only(np.flatnonzero(~absurd).tolist()), int(absurd.sum())


def _backwards(block: Block, times: NDArray[np.int64], latest: int) -> NDArray[np.bool_]:
    """The events that are earlier than one before them of the same request."""
    lived = np.frombuffer(block.kinds, np.uint8) == EMISSION
    owners = np.frombuffer(block.requests, np.int32).copy()
    for place, event in block.others.items():
        if isinstance(event, _LIVED):
            lived[place], owners[place] = True, event.request
    early = np.zeros(len(times), np.bool_)
    told = times[lived]
    if not len(told) or (told[0] >= latest - OUT_OF_TURN and bool((np.diff(told) >= 0).all())):
        return early
    rows = pl.DataFrame({"time": told, "owner": owners[lived]})
    before = rows.select(pl.col("time").cum_max().over("owner")).to_series().to_numpy()
    early[lived] = (told < before) | (told < latest - OUT_OF_TURN)
    return early


def misfits(others: Mapping[int, Event]) -> list[int]:
    """The places of the events that do not fit; a kind whose fields all fit is not asked by one."""
    kinds: dict[type[Event], list[int]] = {}
    for place, event in others.items():
        kinds.setdefault(type(event), []).append(place)
    doubtful = [
        places for kind, places in kinds.items()
        if not _all_fit(kind, [others[place] for place in places])
    ]  # fmt: skip
    return [place for places in doubtful for place in places if not fits(others[place])]


def _all_fit(kind: type[Event], events: list[Event]) -> bool:
    """Whether it is plain that all events of a kind fit, from the extremes of each field."""
    return all(
        _within(list(map(attrgetter(name), events)), low, high)
        for name, low, high in _NUMBERS[kind]
    )


def _within(values: list[Any], low: float, high: float) -> bool:
    """Whether the values are numbers, lists of them or None, and each number is in range."""
    kinds = set(map(type, values))
    by_type = dict.fromkeys(kinds, values)
    if len(kinds) > 1:
        by_type = {kind: [one for one in values if type(one) is kind] for kind in kinds}
    return all(_alike_within(kind, some, low, high) for kind, some in by_type.items())


def _alike_within(kind: type, values: list[Any], low: float, high: float) -> bool:
    if kind is int:
        return bool(low <= min(values) and max(values) <= high)
    if kind is float:
        told = np.array(values)
        return bool(((low <= told) & (told <= high)).all())  # NaN is nowhere
    if kind is tuple:
        return _within(list(chain.from_iterable(values)), low, high)
    return kind is NoneType


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
