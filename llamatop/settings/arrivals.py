"""When requests of an open loop arrive: what a person may ask, read and checked. Draws nothing."""

from __future__ import annotations

from math import inf

from llamatop.errors import InputError

Ramp = tuple[float, float]
"""Requests per second at the start of a level, and at the end of its time."""


def parse_ramp(text: str) -> Ramp:
    """A ramp from `2:8`; InputError where that cannot be read."""
    first, _, last = text.partition(":")
    try:
        ramp = float(first), float(last)
    except ValueError:
        raise InputError(f"--ramp {text}: give two rates in requests a second, as 2:8") from None
    if not all(0 <= rate < inf for rate in ramp) or not any(ramp):
        raise InputError(f"--ramp {text}: a rate must be at least 0, one of them more, and finite")
    return ramp


SLOWEST = 1e-5
"""Requests a second: with fewer a run would end before the next one came."""


def check_arrivals(
    rate: float | None, ramp: Ramp | None, burstiness: float, max_time: float | None
) -> None:
    """Raise InputError where these cannot be, or do not go together."""
    if rate is not None and not SLOWEST <= rate < inf:
        raise InputError(
            f"--rate {rate:g}: must be at least {SLOWEST:g} requests a second, and finite"
        )
    if not 1e-3 <= burstiness < inf:
        raise InputError(f"--burstiness {burstiness:g}: must be at least 0.001, and finite")
    if ramp is not None and rate is not None:
        raise InputError("--ramp and --rate: choose one, a ramp is a rate that changes")
    if ramp is not None and max_time is None:
        raise InputError(f"--ramp {spelled(ramp)}: say with --max-time how long it takes")
    if burstiness != 1 and rate is None and ramp is None:
        raise InputError(f"--burstiness {burstiness:g}: goes with --rate or --ramp")


def spelled(ramp: Ramp) -> str:
    """A ramp as on the command line."""
    return f"{ramp[0]:g}:{ramp[1]:g}"
