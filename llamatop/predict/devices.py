"""Published peaks of the usual accelerators, and which of them has enough memory.

Memory is what the driver reports, bandwidth and dense arithmetic (bfloat16, or float16 where the
chip has no bfloat16) are the makers' data sheets'. The compute capability is CUDA's; AMD's is what
torch gives in its place. Knows no machine at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from llamatop.errors import InputError

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Published:
    """One accelerator: bytes, bytes/s, FLOP/s."""

    name: str
    memory_bytes: int
    bandwidth: float
    flops: float
    capability: tuple[int, int]
    """Compute capability: which formats its kernels know."""


def _device(
    name: str, mib: int, gb_s: float, tflops: float, capability: tuple[int, int]
) -> Published:
    return Published(name, mib * _MIB, gb_s * 1e9, tflops * 1e12, capability)


DEVICES: tuple[Published, ...] = (
    _device("RTX 3060", 12288, 360, 51, (8, 6)),
    _device("T4", 15360, 320, 65, (7, 5)),
    _device("RTX 4080", 16376, 717, 97.5, (8, 9)),
    _device("L4", 23034, 300, 121, (8, 9)),
    _device("A10", 23028, 600, 125, (8, 6)),
    _device("RTX 3090", 24576, 936, 71, (8, 6)),
    _device("RTX 4090", 24564, 1008, 165, (8, 9)),
    _device("RTX 5090", 32607, 1792, 209.5, (12, 0)),
    _device("V100", 32768, 900, 125, (7, 0)),
    _device("A100 40GB", 40960, 1555, 312, (8, 0)),
    _device("L40S", 46068, 864, 362, (8, 9)),
    _device("A6000", 49140, 768, 155, (8, 6)),
    _device("RTX 6000 Ada", 49140, 960, 364, (8, 9)),
    _device("A100 80GB", 81920, 2039, 312, (8, 0)),
    _device("H100 PCIe", 81559, 2000, 756, (9, 0)),
    _device("H100 SXM", 81559, 3350, 989, (9, 0)),
    _device("H200", 143771, 4800, 989, (9, 0)),
    _device("B200", 183359, 8000, 2250, (10, 0)),
    _device("MI300X", 196592, 5300, 1307, (9, 4)),
)
"""Smallest memory first, more or less; see `smallest`."""

NAMED = ("RTX 4090", "A100 40GB", "A6000", "A100 80GB", "H100 SXM", "H200", "MI300X")
"""Those that are suggested: one for each size that people can rent or buy."""


def named(name: str) -> Published:
    """The device whose name has all words of `name`; of several the one with the least memory."""
    words = name.lower().replace("-", " ").replace("nvidia", "").replace("geforce", "").split()
    found = [device for device in DEVICES if _matches(words, device)] if words else []
    if not found:
        known = ", ".join(device.name for device in DEVICES)
        raise InputError(f"--device-name {name}: not known; use one of {known}, or --memory 24GB")
    return min(found, key=lambda device: device.memory_bytes)


def smallest(needed_bytes: float) -> tuple[int, Published] | None:
    """(how many, which): the smallest usual device, or up to 16 of the largest; None: too much."""
    usual = [device for device in DEVICES if device.name in NAMED]
    for device in sorted(usual, key=lambda device: device.memory_bytes):
        if device.memory_bytes >= needed_bytes:
            return 1, device
    h200 = named("H200")
    count = -(-int(needed_bytes) // h200.memory_bytes)
    return (count, h200) if count <= 16 else None


def _matches(words: list[str], device: Published) -> bool:
    """Each word is one of the device's, or a piece such as `80` of `80GB`."""
    theirs = device.name.lower().split()
    return all(any(own in (word, f"{word}gb") for own in theirs) for word in words)
