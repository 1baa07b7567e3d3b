"""This machine's roofs as they were measured before, kept in the cache folder. Measures nothing.

A figure is valid for one processor, number of cores, device, dtype and version of torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from llamatop.hardware.host import host_facts
from llamatop.hardware.kept import cache_folder, keep, version_of
from llamatop.hardware.measured import Measured


def cached_machine(device: str = "cpu", dtype: str = "bfloat16") -> Measured | None:
    """What was measured before on this machine; None: never."""
    try:
        return msgspec.json.decode(_path(device, dtype).read_bytes(), type=Measured)
    except (OSError, ValueError):
        return None


def keep_machine(device: str, dtype: str, measured: Measured) -> Measured:
    """Keep what was measured now, and never less than what was measured before: a busy machine
    lowers a measurement, not a roof. What is kept."""
    best = _best(measured, cached_machine(device, dtype))
    keep(_path(device, dtype), msgspec.json.encode(best))
    return best


def roof_dtype(device: str, dtype: str) -> str:
    """Whose roofs those of `dtype` are: an accelerator has one unit for both 16-bit formats."""
    return "bfloat16" if device != "cpu" and dtype == "float16" else dtype


def machine_of(device: str, dtype: str) -> str:
    """What a measurement holds for, as a name for its file."""
    host = host_facts()
    what = f"{host.cpu}|{host.cores}|{device}|{dtype}|{version_of('torch')}"
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _best(now: Measured, before: Measured | None) -> Measured:
    """The better of each: a roof is the most that was ever seen, whatever ran beside it."""
    if before is None:
        return now
    names = ("read", "copy", "triad", "matvec", "flops")
    best = {name: max(getattr(now, name), getattr(before, name)) for name in names}
    return msgspec.structs.replace(now, **best)


def _path(device: str, dtype: str) -> Path:
    return cache_folder() / f"roofline-{machine_of(device, dtype)}.json"
