"""When each event of a recording is played: a token when it came, not when it was heard of.

An engine tells its tokens some times a second, so clocks and samples of the machine arrive ahead of
tokens that are older. Here ticks go behind what had happened before them, and samples hold nothing
back. What all events add up to stays the same. Knows no session and no file.
"""

from __future__ import annotations

from array import array
from typing import Any

from llamatop.events.kinds import ClientSampled, DeviceSampled, HostSampled
from llamatop.session.blocks import TICK, Block

SAMPLES = (HostSampled, DeviceSampled, ClientSampled)
_LATEST = 2**63 - 1


def in_time(block: Block) -> Block:
    """The block with each tick behind the events that are due before it; the others in order."""
    import numpy as np  # noqa: PLC0415  (not for the first paint)

    times = np.frombuffer(block.times, np.int64)
    ticks = np.frombuffer(block.kinds, np.uint8) == TICK
    due = np.maximum.accumulate(np.where(ticks | _sampled(block, np), 0, times))
    order = np.argsort(np.where(ticks, np.maximum(times, due), due), kind="stable")
    return block if bool((order[1:] > order[:-1]).all()) else block.moved(order)


def due(block: Block, before: int = 0) -> array[int]:
    """When each event is played (ns): the latest time up to it or `before`; a sample not after the
    next event that is none."""
    import numpy as np  # noqa: PLC0415

    times = np.maximum(np.frombuffer(block.times, np.int64), before)
    sampled = _sampled(block, np)
    others = np.maximum.accumulate(np.where(sampled, before, times))
    ahead = np.minimum.accumulate(np.where(sampled, _LATEST, others)[::-1])[::-1]
    found = np.where(sampled, np.minimum(np.maximum.accumulate(times), ahead), others)
    return array("q", found.tobytes())


def _sampled(block: Block, np: Any) -> Any:
    """Whether each row is a sample."""
    found = np.zeros(len(block), bool)
    found[[place for place, event in block.others.items() if isinstance(event, SAMPLES)]] = True
    return found
