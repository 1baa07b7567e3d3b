"""How often a server is told of, so that an hour of it takes no more than a megabyte to keep.

Every second for nearly all; one with many busy replicas less often. Knows no file: it counts what
events take as JSON, which a recording packs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import msgspec

from llamatop.events.kinds import Event

HOURLY = 1_000_000
"""Bytes of an hour in a recording."""

PACKED = 0.15
"""Bytes in a recording for each of an event as JSON: more than busy servers took."""

FIXED = 12
"""Bytes in a recording that an event takes besides."""

LOOKS = 30
"""Over so many looks it is counted before the pace changes."""

SLOWEST = 60
"""Seconds between two looks at most."""


class Thrift:
    """Counts what looks at one server take; `every` is the seconds between two."""

    def __init__(self) -> None:
        self.every = 1
        self._looks = 0
        self._bytes = 0.0

    def count(self, events: Sequence[Event]) -> bool:
        """Count a look; whether the pace changed."""
        self._looks += 1
        self._bytes += sum(PACKED * len(msgspec.json.encode(event)) + FIXED for event in events)
        if self._looks < LOOKS:
            return False
        wanted = ceil(self._bytes / self._looks * 3600 / HOURLY)
        before, self.every = self.every, min(max(wanted, 1), SLOWEST)
        self._looks, self._bytes = 0, 0.0
        return self.every != before
