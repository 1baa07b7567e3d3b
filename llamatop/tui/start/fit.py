"""Whether a model fits this machine, as an estimate: weights, KV cache, and a fixed runtime.

Counts no activations and no fragmentation, so it is marked as an estimate wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llamatop.catalog import find
from llamatop.config import RunConfig
from llamatop.reports.models import Choice

Verdict = Literal["fits", "tight", "does not fit", "unknown"]

RUNTIME_BYTES = 400_000_000
"""What torch and transformers take before there is a model."""

USUAL_KV = 131_072
"""KV bytes per token where nobody knows: an 8B model's, which is much for a small one."""

BAND = 0.1
"""Share by which the estimate may be wrong; within it the verdict is `tight`."""

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Gpu:
    """An accelerator: its name, and bytes of its memory, None where it does not tell."""

    name: str
    free: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has for a run. Memory in bytes."""

    cpu: str
    cores: int
    available: int
    total: int
    gpus: tuple[Gpu, ...] = ()

    def memory_for(self, device: str) -> tuple[int | None, int | None]:
        """Bytes to be had, and in all, where a run on `device` keeps its model."""
        gpu = self._gpu(device)
        return (self.available, self.total) if gpu is None else (gpu.free, gpu.total)

    def _gpu(self, device: str) -> Gpu | None:
        if not self.gpus or not (device == "auto" or device.startswith("cuda")):
            return None
        number = device.partition(":")[2] or "0"
        known = number.isdecimal() and int(number) < len(self.gpus)
        return self.gpus[int(number)] if known else None


@dataclass(frozen=True, slots=True)
class Fit:
    """A verdict, and what it is made of. Sizes in bytes."""

    verdict: Verdict
    parts: tuple[tuple[str, int], ...] = ()
    """What takes how much."""
    available: int | None = None
    total: int | None = None

    @property
    def needed(self) -> int | None:
        """All parts together; None where they are not known."""
        return sum(size for _, size in self.parts) if self.parts else None


Fits = Callable[[Choice, RunConfig], Fit]
"""Says whether a choice fits; asked for each row in view, so it must take well under 1 ms."""


def estimate(machine: Machine, choice: Choice, config: RunConfig) -> Fit:
    """The default of `Fits`."""
    available, total = machine.memory_for(config.device)
    weights = weights_bytes(choice, config.dtype)
    if weights is None:
        return Fit("unknown", available=available, total=total)
    parts = (
        ("weights", weights),
        ("KV cache", kv_bytes(choice, config)),
        ("runtime", RUNTIME_BYTES),
    )
    return Fit(verdict(sum(size for _, size in parts), available), parts, available, total)


def verdict(needed: int, available: int | None) -> Verdict:
    """`tight` is what the estimate's own error does not let it decide."""
    if available is None:
        return "unknown"
    if needed * (1 + BAND) <= available:
        return "fits"
    return "tight" if needed * (1 - BAND) <= available else "does not fit"


def weights_bytes(choice: Choice, dtype: str) -> int | None:
    """Size of the weights in memory; None where it is not known."""
    if dtype in _BYTES and choice.parameters is not None:
        return choice.parameters * _BYTES[dtype]
    if choice.weights_bytes is not None:
        return choice.weights_bytes
    return None if choice.parameters is None else choice.parameters * 2


def kv_bytes(choice: Choice, config: RunConfig) -> int:
    """KV cache of the largest level, all its requests at their full length."""
    known = find(choice.model)
    per_token = known.kv_bytes_per_token if known else USUAL_KV
    if known is None and choice.weights_bytes is not None:
        per_token = min(per_token, max(choice.weights_bytes // 4096, 1))
    if config.dtype == "float32":
        per_token *= 2
    return per_token * max(config.concurrency) * (config.prompt_toks + config.gen_toks)
