"""Leaving by key or by signal: the run ends, its last events are kept, the terminal comes back."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from llamatop.pump import Pump
from llamatop.tui.controls import Live

PATIENCE = 0.55
"""Seconds that leaving waits for the last events of a run."""

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
"""Exit codes by signal."""


async def wind_down(pump: Pump, live: Live | None, patience: float = PATIENCE) -> None:
    """Stop a live run, move its last events, and end its children."""
    if live is None:
        return
    live.stop()
    deadline = time.monotonic() + patience
    while True:
        pump.step()
        if pump.source.ended or time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.01)
    live.close()


def on_signals(leave: Callable[[int], None]) -> None:
    """Call `leave` with the exit code when a signal asks for the end."""
    loop = asyncio.get_running_loop()
    for number, code in SIGNALS.items():
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, leave, code)
