"""This machine's roofs: measured once, kept in the cache folder, never while an engine runs.

The measuring itself is `bench`'s, in a process of its own. A figure is valid for one processor,
number of cores, device, dtype and version of torch.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from llamatop.hardware.host import host_facts
from llamatop.predict.child import ask
from llamatop.roofline import Roofs


class Measure(msgspec.Struct, frozen=True):
    """What to measure: a device and a dtype as on the command line."""

    device: str = "auto"
    dtype: str = "auto"


class Measured(msgspec.Struct, frozen=True, tag=True):
    """What was measured; bytes/s and FLOP/s."""

    device: str
    """The device's own name."""
    dtype: str
    threads: int
    read: float
    copy: float
    triad: float
    matvec: float
    """Weights that a product with one row reads: the roof of the library at one request."""
    flops: float
    """Of a product of square matrices in `dtype`."""
    torch: str

    @property
    def bandwidth(self) -> float:
        """The most that memory gave to any kernel."""
        return max(self.read, self.copy, self.triad, self.matvec)

    @property
    def arithmetic(self) -> float:
        """The most FLOP/s of any kernel: a library that is slow with square matrices of a dtype may
        be faster with one row, which is two operations for each weight that it reads."""
        return max(self.flops, 2 * self.matvec / (4 if self.dtype == "float32" else 2))

    @property
    def roofs(self) -> Roofs:
        """Memory's and arithmetic's."""
        return Roofs(self.bandwidth, self.arithmetic)


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
    best = _best(ask("llamatop.predict.bench", Measure(device, dtype), Measured), known)
    keep(_path(device, dtype), msgspec.json.encode(best))
    return best


def roof_dtype(device: str, dtype: str) -> str:
    """Whose roofs those of `dtype` are: an accelerator has one unit for both 16-bit formats."""
    return "bfloat16" if device != "cpu" and dtype == "float16" else dtype


def cache_folder() -> Path:
    """Where what was measured on this machine is kept."""
    if folder := os.environ.get("LLAMATOP_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_path  # noqa: PLC0415  (a command may not need it)

    return Path(user_cache_path("llamatop"))


def _best(now: Measured, before: Measured | None) -> Measured:
    """The better of each: a roof is the most that was ever seen, whatever ran beside it."""
    if before is None:
        return now
    names = ("read", "copy", "triad", "matvec", "flops")
    best = {name: max(getattr(now, name), getattr(before, name)) for name in names}
    return msgspec.structs.replace(now, **best)


def _path(device: str, dtype: str) -> Path:
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    host = host_facts()
    what = f"{host.cpu}|{host.cores}|{device}|{dtype}|{torch}"
    return cache_folder() / f"roofline-{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"


def keep(path: Path, body: bytes) -> None:
    """Write a file whole or not at all; a folder that cannot be written only costs time."""
    partial = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(body)
        partial.replace(path)
