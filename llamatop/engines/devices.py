"""Which device and which number format to generate with, and when memory has ended."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from llamatop.errors import InputError
from llamatop.hardware.processor import cpu_lines

_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't start new thread",  # no room for its stack
    "could not create a primitive",  # oneDNN, when it gets no memory for its kernel
)

MEMORY_ERRORS = (MemoryError, RuntimeError)
"""What torch raises when memory ends; see `is_memory_error` for which of them mean it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is to be, and in which number format."""

    device: torch.device
    dtype: torch.dtype


def is_memory_error(error: BaseException) -> bool:
    """Memory ended, on the host or on a device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _NO_MEMORY)


def pick_device(wanted: str) -> torch.device:
    """The device of that name, `auto` for the best; InputError if it is not here."""
    if wanted == "auto":
        return torch.device(_best())
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise InputError(f"--device {wanted}: no such device; use auto, cpu, cuda or mps") from None
    if not _is_here(device):
        raise InputError(f"--device {wanted}: torch finds no such device here; use --device cpu")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", 0)
    return device


def pick_dtype(wanted: str, stored: torch.dtype, device: torch.device) -> torch.dtype:
    """The format named, or for `auto` the checkpoint's.

    A CPU gets bfloat16 for float16, in which it hardly computes; an old GPU float16 for bfloat16.
    """
    if wanted != "auto":
        dtype: torch.dtype = getattr(torch, wanted)
        return dtype
    if stored not in (torch.bfloat16, torch.float16):
        return torch.float32
    if device.type == "cpu":
        return torch.bfloat16
    if stored == torch.bfloat16 and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return stored


def settle(device: torch.device) -> None:
    """Make the device work evenly, before anything is computed on it.

    cuDNN's attention plans anew for every length that it has not seen: on an H100 each first step
    at a length took 65 ms more (torch 2.11), which a growing cache pays at every token.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)


def name_of(device: torch.device) -> str:
    """The device's own name, such as `NVIDIA H200`."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    names = cpu_lines("model name")
    return names[0] if names else platform.processor() or platform.machine()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_here(device: torch.device) -> bool:
    match device.type:
        case "cpu":
            return True
        case "cuda":
            return (
                bool(torch.cuda.is_available()) and (device.index or 0) < torch.cuda.device_count()
            )
        case "mps":
            return bool(torch.backends.mps.is_available())
        case _:
            return False
