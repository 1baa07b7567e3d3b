"""The slowest moments of a recording: the largest gaps between tokens. Knows events only.

Those of a long recording are looked for in its columns; no emission is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, RequestFinished, RequestQueued, TokensEmitted
from llamatop.session.blocks import Blocks

MOST = 99
"""Stalls that are told apart."""

_LOOKED_AT = 8192
"""Gaps among which these are looked for: a stall holds up every request in flight."""


class Gap(NamedTuple):
    """An inter-token latency as `requests.gaps` has it: a gap of k tokens is k gaps of its k-th."""

    seconds: float
    start: int
    """Of the emission before (ns)."""
    end: int
    request: int


def slowest_gaps(events: Sequence[Event], most: int = MOST) -> list[Gap]:
    """The largest gaps of measured requests that completed, the slowest first.

    Gaps that overlap are one stall, told by the largest of them.
    """
    kept: list[Gap] = []
    for seconds, start, end, request in _largest(events):
        gap = Gap(seconds, -start, end, request)
        if all(gap.end <= other.start or other.end <= gap.start for other in kept):
            kept.append(gap)
            if len(kept) == most:
                break
    return kept


Found = tuple[float, int, int, int]
"""(seconds, minus the start, end, request): of gaps as large the earliest is first."""


def _largest(events: Sequence[Event]) -> list[Found]:
    if isinstance(events, Blocks):
        from llamatop.figures.column_gaps import largest  # noqa: PLC0415  (numpy: only where it is needed)

        return largest(events.blocks, _measured(events.rare), _LOOKED_AT)
    return nlargest(_LOOKED_AT, _gaps(events))


def _measured(events: Iterable[Event]) -> set[int]:
    """The requests whose gaps count."""
    queued, finished = set(), set()
    for event in events:
        if type(event) is RequestQueued and not event.warmup:
            queued.add(event.request)
        elif type(event) is RequestFinished:
            finished.add(event.request)
    return queued & finished


def _gaps(events: Sequence[Event]) -> Iterator[Found]:
    measured = _measured(events)
    before: dict[int, int] = {}
    for event in events:
        if type(event) is not TokensEmitted or event.count < 1 or event.request not in measured:
            continue
        start = before.get(event.request)
        before[event.request] = event.time
        if start is not None:
            seconds = (event.time - start) / SECOND / event.count
            yield seconds, -start, event.time, event.request
