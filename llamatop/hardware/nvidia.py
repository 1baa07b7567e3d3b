"""NVIDIA devices through NVML. What a device or driver does not tell is None, never 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamatop.events.kinds import DeviceSampled

SLOWDOWNS = {
    0x04: "sw_power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}
"""Bits of NVML's clock event reasons that are a want of power or cooling; not idleness, nor what a
person has set."""

_REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
"""One question under its name of today and its older one."""


def open_nvml() -> Any | None:
    """The NVML library, ready; None where there is none."""
    try:
        import pynvml  # noqa: PLC0415

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, no permission: the same to a reader
        return None
    return pynvml


def sample(nvml: Any, time: int) -> list[DeviceSampled]:
    """All devices now. A lost device keeps its row, with nothing known."""
    total = _ask(nvml.nvmlDeviceGetCount) or 0
    return [_sample_one(nvml, index, time) for index in range(int(total))]


def _sample_one(nvml: Any, index: int, time: int) -> DeviceSampled:
    handle = _ask(nvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return DeviceSampled(time, index, name="lost")
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _ask(nvml.nvmlDeviceGetUtilizationRates, handle)
    power = _ask(nvml.nvmlDeviceGetPowerUsage, handle)
    heat = _ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    name = _ask(nvml.nvmlDeviceGetName, handle)
    return DeviceSampled(
        time,
        index,
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "GPU"),
        used_bytes=None if memory is None else int(memory.used),
        total_bytes=None if memory is None else int(memory.total),
        utilization=None if rates is None else float(rates.gpu),
        power_watts=None if power is None else power / 1000,
        temperature=None if heat is None else float(heat),
        throttle=_slowdowns(nvml, handle),
    )


def _slowdowns(nvml: Any, handle: Any) -> tuple[str, ...] | None:
    """What slows the device down; None where it does not tell."""
    for name in _REASONS:
        bits = _ask(getattr(nvml, name, None), handle)
        if bits is not None:
            return tuple(word for bit, word in SLOWDOWNS.items() if bits & bit)
    return None


def _ask(question: Callable[..., Any] | None, *arguments: Any) -> Any | None:
    """NVML raises for whatever is not supported; that is an unknown, not a fault."""
    if question is None:
        return None
    try:
        return question(*arguments)
    except Exception:
        return None


def held_by(nvml: Any, pids: set[int]) -> int | None:
    """Bytes that these processes hold of all devices; None where no device knows any of them."""
    held = []
    for index in range(int(_ask(nvml.nvmlDeviceGetCount) or 0)):
        handle = _ask(nvml.nvmlDeviceGetHandleByIndex, index)
        for one in _ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ():
            if one.pid in pids and one.usedGpuMemory is not None:
                held.append(int(one.usedGpuMemory))
    return sum(held) if held else None
