"""How late an event loop wakes: the client's own contribution to what it measures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from llamatop.events.clock import SECOND
from llamatop.events.kinds import ClientSampled, Event

EVERY = SECOND // 50
"""Nanoseconds from one wake to the next."""

TOLD_AFTER = 25
"""Wakes that are told of together."""


async def sample(process: int, now: Callable[[], int], tell: Callable[[Event], None]) -> None:
    """Tell how late each wake was, until it is cancelled; `now` in ns."""
    lags: list[int] = []
    try:
        while True:
            due = now() + EVERY
            await asyncio.sleep(EVERY / SECOND)
            lags.append(max(now() - due, 0))
            if len(lags) == TOLD_AFTER:
                tell(ClientSampled(now(), process, tuple(lags)))
                lags.clear()
    finally:
        if lags:
            tell(ClientSampled(now(), process, tuple(lags)))
