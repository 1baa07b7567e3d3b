"""The accelerators' rows of the memory panel: each by itself, or all of them in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from llamatop.events.kinds import DeviceAllocated, DeviceSampled
from llamatop.events.sanitize import one_line
from llamatop.session.reducer import Session
from llamatop.text.formatting import size
from llamatop.tui.drawing.lines import Span, clip
from llamatop.tui.monitor.views.told import reasons_of

LABEL = 11
"""Cells before a row's first number, with which all of the panel's stand in one column."""

_TIGHT = 0.92
"""Share of a memory in use from which it is worth a warning."""

N = TypeVar("N", int, float)


def label(name: str) -> Span:
    """What a row is about."""
    return f" {name:<{LABEL - 2}} ", "dim"


def share_of(used: int | None, total: int | None) -> list[Span]:
    """`5.60 of 16.0 GB  35 %`; in warning colour when nearly full."""
    if used is None or not total:
        return [(size(used), "text")]
    role = "warn" if used / total >= _TIGHT else "text"
    return [
        (f"{size(used):>8}", role),
        (f" of {size(total)}", "dim"),
        (f"{used / total:>5.0%}".replace("%", " %"), role),
    ]


def devices_of(session: Session) -> list[int]:
    """The accelerators of which anything is known."""
    return sorted(session.devices.keys() | session.allocated.keys())


def rows_of(session: Session) -> list[list[Sequence[Span]]]:
    """A row of groups for each accelerator."""
    return [_device(session, device) for device in devices_of(session)]


def together(session: Session) -> list[Sequence[Span]]:
    """All accelerators in one row: sums, the mean utilisation, the highest temperature."""
    newest = [samples[-1] for samples in session.devices.values()]
    told = DeviceSampled(
        0,
        0,
        "",
        _sum([sample.used_bytes for sample in newest]),
        _sum([sample.total_bytes for sample in newest]),
        _mean([sample.utilization for sample in newest]),
        _sum([sample.power_watts for sample in newest]),
        max((s.temperature for s in newest if s.temperature is not None), default=None),
    )
    slow = sum(bool(sample.throttle) for sample in newest)
    return [
        [label(f"{len(newest)} gpus"), *_gpu_memory(told, None)],
        _told(told),
        [(f"▲ {slow} slowed down", "warn")] if slow else [],
    ]


def _sum(values: Sequence[N | None]) -> N | None:
    """None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    total = _sum(values)
    return None if total is None else total / len(values)


def _device(session: Session, device: int) -> list[Sequence[Span]]:
    samples, held = session.devices.get(device), session.allocated.get(device)
    sample = samples[-1] if samples else None
    groups: list[Sequence[Span]] = [[label(f"gpu {device}"), *_gpu_memory(sample, held)]]
    if sample is not None:
        groups += [_told(sample), _slowed(sample)]
    if held:
        groups.append(
            [
                ("allocated ", "dim"),
                (f"{size(held[-1].allocated_bytes):>8}", "text"),
                ("  reserved ", "dim"),
                (f"{size(held[-1].reserved_bytes):>8}", "text"),
            ]
        )
    if sample is not None:
        groups.append([(clip(one_line(sample.name), 24), "dim")])
    return groups


def _gpu_memory(sample: DeviceSampled | None, held: Sequence[DeviceAllocated] | None) -> list[Span]:
    if sample is not None and sample.used_bytes is not None:
        return [*share_of(sample.used_bytes, sample.total_bytes)]
    return [(f"{'N/A':>8}", "dim")] if not held else []


def _told(sample: DeviceSampled) -> list[Span]:
    """Utilisation, power and temperature, as far as the device tells them."""
    parts = [
        ("util ", sample.utilization, 3, " % "),
        ("", sample.power_watts, 4, " W "),
        ("", sample.temperature, 3, " °C"),
    ]
    spans: list[Span] = []
    for name, value, width, unit in parts:
        if value is not None:
            spans += [(name, "dim"), (f"{value:>{width}.0f}", "text"), (unit, "dim")]
    return spans


def _slowed(sample: DeviceSampled) -> list[Span]:
    """What slows the device down, in few cells."""
    if not sample.throttle:
        return []
    first, *more = reasons_of(sample.throttle)
    return [(f"▲ {first}" + (f" +{len(more)}" if more else ""), "warn")]
