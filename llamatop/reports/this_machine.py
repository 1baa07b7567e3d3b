"""The machine at hand, as far as it decides what can run on it."""

from __future__ import annotations

from typing import Any

from llamatop.events.sanitize import one_line
from llamatop.hardware.host import host_facts, memory
from llamatop.hardware.nvidia import open_nvml, sample
from llamatop.reports.fit import Gpu, Machine


def machine() -> Machine:
    """Cores and memory that a run may have, and the accelerators."""
    facts, now = host_facts(), memory()
    name, cores = one_line(facts.cpu), facts.cores or 1
    return Machine(name, cores, now.available, now.total, _gpus())


def _gpus() -> tuple[Gpu, ...]:
    nvml = open_nvml()
    return tuple(_gpu(one) for one in sample(nvml, 0)) if nvml is not None else ()


def _gpu(one: Any) -> Gpu:
    known = one.total_bytes is not None and one.used_bytes is not None
    free = one.total_bytes - one.used_bytes if known else None
    return Gpu(one_line(one.name), free, one.total_bytes)
