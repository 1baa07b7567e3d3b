"""The machine as this run may use it: cores, memory, a container's limit honoured."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llamatop.events.kinds import HostFacts
from llamatop.hardware.processor import cpu_has_bfloat16

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use, still to be had, and in all."""

    used: int
    available: int
    total: int


def memory() -> Memory:
    """The machine's memory, or the container's where that is less."""
    import psutil  # noqa: PLC0415  (first paint does not wait for it)

    machine = psutil.virtual_memory()
    limit = _cgroup_bytes("memory.max")
    if limit is None or limit >= machine.total:
        return Memory(machine.total - machine.available, machine.available, machine.total)
    used = max((_cgroup_bytes("memory.current") or 0) - _reclaimable(), 0)
    return Memory(used, min(max(limit - used, 0), machine.available), limit)


def host_facts() -> HostFacts:
    """What a reader of a recording needs to know of the machine."""
    return HostFacts(
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu_name(),
        cores=usable_cores(),
        memory_bytes=memory().total,
        python=platform.python_version(),
        bfloat16=cpu_has_bfloat16(),
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def taken_by_others() -> Callable[[], float]:
    """Asked later: the share of the machine's cores that others than this process had since now."""
    import psutil  # noqa: PLC0415  (as above)

    def now() -> tuple[float, float]:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in others, too
        return sum(times) - guests - idle - time.process_time(), sum(times) - guests

    before = now()

    def since() -> float:
        taken, all_of_it = (late - early for late, early in zip(now(), before, strict=True))
        return taken / all_of_it if all_of_it else 0.0

    return since


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _cgroup_bytes(name: str) -> int | None:
    try:
        text = (_CGROUP / name).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _reclaimable() -> int:
    """Page cache that the kernel gives back when asked, in bytes."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
