"""Whether requests of an open loop came as they were asked for. Knows no screen."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events.clock import SECOND
from llamatop.session.requests import Level, Request
from llamatop.settings.config import RunConfig


def asked_rate(config: RunConfig, level: Level) -> float | None:
    """Requests per second asked for in a level, which may have a rate of its own; of a ramp or a
    file's times, as these were due.

    None of a closed loop.
    """
    if not config.open_loop:
        return None
    rate = config.rate if level.rate is None else level.rate
    return _rate([request.scheduled for request in level.requests]) if rate is None else rate


def real_rate(config: RunConfig, requests: Sequence[Request]) -> float | None:
    """Requests per second that an engine or a server took; None of a closed loop."""
    if not config.open_loop:
        return None
    return _rate([request.admitted for request in requests if request.admitted is not None])


def _rate(times: Sequence[int]) -> float | None:
    """From the first to the last of these moments (ns); None where they are no stretch of time."""
    first, last = min(times, default=0), max(times, default=0)
    return (len(times) - 1) * SECOND / (last - first) if last > first else None
