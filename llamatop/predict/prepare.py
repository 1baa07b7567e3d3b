"""What a run is told before it starts, as events: the model traced, its peaks, the machine's roofs.

Costs some seconds in child processes; a run that cannot be told goes on without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.events import Event, MachineMeasured, MemoryPredicted, ModelTraced
from llamatop.predict.checking import place_here
from llamatop.predict.forecast import forecast
from llamatop.predict.machine import cached_machine, measure_machine, roof_dtype
from llamatop.predict.traced import Trace

DTYPES = ("float32", "bfloat16")
"""Whose arithmetic is measured."""


def measure_once(config: RunConfig, tell: Callable[[str], None]) -> None:
    """Measure the roofs of a machine that was never measured; before anything else runs on it."""
    device = place_here(config.device).device
    missing = [dtype for dtype in DTYPES if cached_machine(device, dtype) is None]
    if missing:
        tell("measuring this machine's memory bandwidth and arithmetic, once")
    with suppress(InputError):
        for dtype in missing:
            measure_machine(device, dtype)


def prepare(config: RunConfig, now: Callable[[], int]) -> list[Event]:
    """The events. Reads the machine's roofs where they are known, and never measures them."""
    device = place_here(config.device).device
    try:
        trace, peaks = forecast(config, device)
    except InputError:
        return []  # the engine says the same, and says it to the person
    events: list[Event] = [_traced(trace, now())]
    events += [
        MemoryPredicted(now(), level, peak.host_bytes, peak.device_bytes, peak.parts)
        for level, peak in enumerate(peaks)
    ]
    machine = cached_machine(device, roof_dtype(device, trace.dtype))
    if machine is not None:
        events.append(
            MachineMeasured(now(), machine.device, machine.dtype, machine.bandwidth, machine.flops)
        )
    return events


def _traced(trace: Trace, time: int) -> ModelTraced:
    return ModelTraced(
        time=time,
        parameters=trace.parameters,
        active_parameters=trace.active_parameters,
        read_bytes=trace.read_bytes,
        expert_bytes=trace.expert_bytes,
        experts=trace.experts,
        experts_per_token=trace.experts_per_token,
        attention_width=trace.attention_width,
        caches=trace.caches,
        kv_bytes_per_token=trace.kv_bytes_per_token,
    )
