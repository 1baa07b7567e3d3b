"""Leaving by key or by signal: the run ends, its last events are kept, the terminal comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from llamatop.run.controls import Live
from llamatop.run.pump import Pump

PATIENCE = 0.55
"""Seconds that leaving waits for the last events of a run."""

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
"""Exit codes by signal."""

HUNG_UP = 129
"""Exit code when the terminal is gone."""


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


def on_signals(leave: Callable[[int], None], hang_up: Callable[[], None]) -> None:
    """Call `leave` with the exit code when a signal asks for the end, `hang_up` after SIGHUP."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number, code in SIGNALS.items():
            loop.add_signal_handler(number, leave, code)
        loop.add_signal_handler(signal.SIGHUP, hang_up)


def let_go() -> None:
    """What is still said to a terminal that is gone goes nowhere, instead of raising OSError."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.isatty():
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
