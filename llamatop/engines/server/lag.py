"""How late an event loop wakes: the client's own contribution to what it measures.

It is asked rarely, since each wake takes a core from a server that computes on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from llamatop.events.clock import SECOND
from llamatop.events.kinds import ClientSampled, Event

EVERY = SECOND // 10
"""Nanoseconds from one wake to the next, in the mean."""

TOLD_AFTER = 5
"""Wakes that are told of together."""

_GOLDEN = (5**0.5 - 1) / 2


def pauses() -> Iterator[int]:
    """Nanoseconds to each wake: half to one and a half of `EVERY`, in step with nothing else."""
    phase = 0.0
    while True:
        phase = (phase + _GOLDEN) % 1
        yield int(EVERY * (0.5 + phase))


async def sample(process: int, now: Callable[[], int], tell: Callable[[Event], None]) -> None:
    """Tell how late each wake was, until it is cancelled; `now` in ns."""
    lags: list[int] = []
    try:
        for pause in pauses():
            due = now() + pause
            await asyncio.sleep(pause / SECOND)
            lags.append(max(now() - due, 0))
            if len(lags) == TOLD_AFTER:
                tell(ClientSampled(now(), process, tuple(lags)))
                lags.clear()
    finally:
        if lags:
            tell(ClientSampled(now(), process, tuple(lags)))
