"""This machine's roofs: measured once, kept in the cache folder, never while an engine runs.

The measuring itself is `bench`'s, in a process of its own. A figure is valid for one processor,
number of cores, device, dtype and version of torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from llamatop.hardware.host import host_facts
from llamatop.predict.child import ask
from llamatop.predict.kept import cache_folder, keep, version_of
from llamatop.predict.measured import Measure, Measured
from llamatop.settings.installed import need


def cached_machine(device: str = "cpu", dtype: str = "bfloat16") -> Measured | None:
    """What was measured before on this machine; None: never."""
    try:
        return msgspec.json.decode(_path(device, dtype).read_bytes(), type=Measured)
    except (OSError, ValueError):
        return None


def measure_machine(device: str = "cpu", dtype: str = "bfloat16", fresh: bool = False) -> Measured:
    """What was measured before, or else (or if `fresh`) now, in about 3 s with torch's import.

    Never less than what was measured before: a busy machine lowers a measurement, not a roof.
    Not while an engine runs: both would be slowed. Raises InputError if there is no such device.
    """
    known = cached_machine(device, dtype)
    if known is not None and not fresh:
        return known
    need("measuring this machine")
    best = _best(ask("llamatop.predict.bench", Measure(device, dtype), Measured), known)
    keep(_path(device, dtype), msgspec.json.encode(best))
    return best


def roof_dtype(device: str, dtype: str) -> str:
    """Whose roofs those of `dtype` are: an accelerator has one unit for both 16-bit formats."""
    return "bfloat16" if device != "cpu" and dtype == "float16" else dtype


def _best(now: Measured, before: Measured | None) -> Measured:
    """The better of each: a roof is the most that was ever seen, whatever ran beside it."""
    if before is None:
        return now
    names = ("read", "copy", "triad", "matvec", "flops")
    best = {name: max(getattr(now, name), getattr(before, name)) for name in names}
    return msgspec.structs.replace(now, **best)


def _path(device: str, dtype: str) -> Path:
    host = host_facts()
    what = f"{host.cpu}|{host.cores}|{device}|{dtype}|{version_of('torch')}"
    return cache_folder() / f"roofline-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"
