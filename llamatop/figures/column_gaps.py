"""The largest gaps between tokens in the columns of a long recording. Knows no event.

A block is looked at alone, with when each request last emitted before it: beside the columns
little more than the gaps wanted is held at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from llamatop.events.clock import SECOND
from llamatop.session.blocks import Block

Ints = NDArray[np.int64]
Columns = tuple[NDArray[np.float64], Ints, Ints, Ints]
"""Seconds of each gap, its start and its end (ns), its request."""


def largest(
    blocks: Iterable[Block], requests: Collection[int], most: int
) -> list[tuple[float, int, int, int]]:
    """The largest gaps of some requests as (seconds, minus the start, end, request), sorted."""
    wanted = np.fromiter(requests, np.int64, len(requests))
    before: dict[int, int] = {}
    kept: Columns = (np.empty(0), *(np.empty(0, np.int64) for _ in range(3)))  # type: ignore[assignment]
    for block in blocks:
        found = _gaps(block, wanted, before)
        kept = _first(tuple(map(np.concatenate, zip(kept, found, strict=True))), most)  # type: ignore[arg-type]
    seconds, starts, ends, ids = (column.tolist() for column in kept)
    return [(s, -a, b, id) for s, a, b, id in zip(seconds, starts, ends, ids, strict=True)]


def _gaps(block: Block, wanted: Ints, before: dict[int, int]) -> Columns:
    """Every gap that ends in a block; `before` is when each request last emitted, and kept so."""
    counts = np.frombuffer(block.counts, np.int32)
    ids = np.frombuffer(block.requests, np.int32).astype(np.int64)
    places = np.flatnonzero(counts > 0)
    places = places[np.isin(ids[places], wanted)]
    places = places[np.argsort(ids[places], kind="stable")]
    ids = ids[places]
    ends = np.frombuffer(block.times, np.int64)[places]
    starts = np.roll(ends, 1)
    known = np.ones(len(ids), np.bool_)
    for place in np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)).tolist():
        start = before.get(int(ids[place]))
        known[place] = start is not None
        starts[place] = start or 0
    lasts = np.flatnonzero(np.diff(ids, append=ids[-1:] + 1))
    before.update(zip(ids[lasts].tolist(), ends[lasts].tolist(), strict=True))
    seconds = (ends - starts) / SECOND / counts[places]
    return seconds[known], starts[known], ends[known], ids[known]


def _first(gaps: Columns, most: int) -> Columns:
    """The largest, of those as large the earliest, the largest first."""
    seconds = gaps[0]
    if len(seconds) > most:
        least = np.partition(seconds, -most)[-most]
        gaps = _at(gaps, np.flatnonzero(seconds >= least))
    seconds, starts, ends, ids = gaps
    return _at(gaps, np.lexsort((-ids, -ends, starts, -seconds))[:most])


def _at(gaps: Columns, places: NDArray[np.intp]) -> Columns:
    seconds, starts, ends, ids = gaps
    return seconds[places], starts[places], ends[places], ids[places]
