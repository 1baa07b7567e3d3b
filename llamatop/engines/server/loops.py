"""The event loop that sends and reads, and as many sockets as it may need."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from llamatop.settings.config import MAX_CONCURRENCY

_SPARE = 256
"""Files that a process has open beside its connections, at most."""


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed, else asyncio's own; this process may then open many files."""
    _open_many()
    try:
        import uvloop  # noqa: PLC0415  (not on every system)
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _open_many() -> None:
    """Raise this process's own limit of open files, as far as the system lets it."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  (not on every system)

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MAX_CONCURRENCY + _SPARE
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
