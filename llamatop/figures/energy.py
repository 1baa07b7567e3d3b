"""What a token costs in energy: the power that accelerators drew over a level, by its tokens.

The mean of what the driver says of the last moments (NVML: of about a second), so a level of a few
seconds is known roughly. The processor's share is not measured, and not in it.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceSampled
from llamatop.figures.served import on_servers, server_device_bytes
from llamatop.session.reducer import Session

APART = 5 * SECOND
"""Between samples of a device at most (ns), or its power meanwhile is not known."""


def joules_per_token(session: Session, start: int, end: int, tokens: int | None) -> float | None:
    """Energy of the accelerators that served from `start` to `end` (ns), by output tokens.

    Source: the integral of device power over the level / output tokens. None: on a processor, on
    servers elsewhere, or where one of the devices did not tell its power all the while.
    """
    devices = drawing(session)
    if not devices or not tokens or end <= start:
        return None
    drawn = [_joules(session.devices.get(one, []), start, end) for one in devices]
    known = [joules for joules in drawn if joules is not None]
    return sum(known) / tokens if len(known) == len(drawn) else None


def drawing(session: Session) -> list[int]:
    """The accelerators on which the model runs; of servers on this machine, all that it has."""
    if on_servers(session):
        return sorted(session.devices) if server_device_bytes(session) is not None else []
    told = [rank.device for rank in session.ranks.values()]
    if not told and session.model is not None:
        told = [session.model.device]
    first = min(session.devices, default=0)
    parts = (device.partition(":") for device in told)
    return sorted(
        {int(number) if number.isdigit() else first for kind, _, number in parts if kind == "cuda"}
    )


def _joules(samples: list[DeviceSampled], start: int, end: int) -> float | None:
    """The integral of one device's power, straight between its samples and level beyond them."""
    first = max(bisect_right(samples, start, key=lambda one: one.time) - 1, 0)
    last = bisect_right(samples, end, key=lambda one: one.time) + 1
    within = samples[first:last]
    powers = [one.power_watts for one in within if one.power_watts is not None]
    times = [one.time for one in within]
    if not within or len(powers) < len(within) or not _covered(times, start, end):
        return None
    edges = sorted({start, end, *(time for time in times if start < time < end)})
    drawn = [(time, _at(times, powers, time)) for time in edges]
    return sum((b - a) / SECOND * (p + q) / 2 for (a, p), (b, q) in pairwise(drawn))


def _covered(times: list[int], start: int, end: int) -> bool:
    """Whether samples lie so close that what was drawn between them is known."""
    marks = [min(times[0], start), *times, max(times[-1], end)]
    return all(b - a <= APART for a, b in pairwise(marks) if b > start and a < end)


def _at(times: list[int], powers: list[float], time: int) -> float:
    place = bisect_right(times, time)
    if place in (0, len(times)):
        return powers[max(place - 1, 0)]
    before, after = times[place - 1], times[place]
    share = (time - before) / (after - before)
    return powers[place - 1] + share * (powers[place] - powers[place - 1])
