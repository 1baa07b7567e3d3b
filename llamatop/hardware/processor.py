"""What Linux says of the processor. Knows neither torch nor a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "svebf16")


SLOW_BFLOAT16 = "the processor has no arithmetic for bfloat16"
"""What is said of one without."""
FASTER = "float32 is likely faster"
"""And what to do about it."""


def cpu_has_bfloat16() -> bool | None:
    """The processor multiplies bfloat16 itself: AVX512-BF16, AMX, or Arm's BF16.

    None where the system does not say, as macOS and Windows.
    """
    return cpu_has(*_BF16_FLAGS) if _cpu_flags() else None


def cpu_has(*flags: str) -> bool:
    """Whether the processor is known to have any of these, as Linux names them."""
    return not _cpu_flags().isdisjoint(flags)


@cache
def _cpu_flags() -> frozenset[str]:
    words = cpu_lines("flags") + cpu_lines("Features")
    return frozenset(words[0].split()) if words else frozenset()


def cpu_lines(key: str) -> list[str]:
    """What stands under `key`, a line for each core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key]
