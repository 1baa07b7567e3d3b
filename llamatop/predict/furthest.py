"""The longest context of one request that fits, found by search over what is traced.

All of it but one token is prompt, which takes most: a shorter prompt with more output fits too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from llamatop.predict import memory
from llamatop.predict.traced import Peak, Reach, Shape, Trace

PAGE = 16
"""Tokens within which the answer is exact."""
UNLIMITED = 2**24
"""Where no limit is known, it is looked no further."""


class Peaks(Protocol):
    """What can trace a shape."""

    def peak(self, shape: Shape) -> Peak:
        """The peaks of generating that shape."""


def furthest(trace: Trace, peaks: Peaks, reach: Reach, device: str) -> Trace:
    """The same with what was found, or with the reason why nothing could be."""
    if reason := trace.untold:
        return _unknown(trace, reason)
    if trace.context is None and all(
        kind.window or not kind.kv_bytes_per_token for kind in trace.kinds
    ):
        return _unknown(
            trace, "unlimited: what it caches stops growing, and its config names no limit"
        )
    if (trace.weights_bytes or 0) > reach.available_bytes:
        return msgspec.structs.replace(trace, furthest=0)

    runtime = reach.runtime_bytes or trace.runtime_bytes

    def needed(tokens: int) -> float:
        shape = Shape(1, tokens - 1, 1)
        own = () if reach.engine == "continuous" else (peaks.peak(shape),)  # which has its steps
        found = msgspec.structs.replace(trace, peaks=(*trace.peaks, *own), runtime_bytes=runtime)
        return memory.predict(found, reach.engine, device, shape).sure_bytes(reach.band)

    most = search(needed, reach.available_bytes, trace.context or UNLIMITED)
    return msgspec.structs.replace(trace, furthest=most)


def search(needed: Callable[[int], float], limit: float, most: int) -> int:
    """The largest number from 2 to `most` of which no more than `limit` is needed, or up to a
    `PAGE` less; 0: not even 2. `needed` must not fall."""
    low, high = 2, max(most, 2)
    if (above := needed(high) - limit) <= 0:
        return high
    if (below := needed(low) - limit) > 0:
        return 0
    halve = False
    while (width := high - low) > PAGE:
        share = 0.5 if halve else -below / (above - below)
        middle = min(max(low + round(width * share), low + PAGE // 2), high - PAGE // 2)
        over = needed(middle) - limit
        low, below = (middle, over) if over <= 0 else (low, below)
        high, above = (high, above) if over <= 0 else (middle, over)
        halve = not halve and high - low > width / 2  # the line between both is too flat
    return low


def _unknown(trace: Trace, reason: str) -> Trace:
    return msgspec.structs.replace(trace, unknown={**trace.unknown, "max_context": reason})
