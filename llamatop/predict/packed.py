"""Whether transformers computes with a quantised checkpoint as it is stored, or unpacks it first.

That is a matter of the device, here or elsewhere, and of the packages with its kernels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from transformers.utils import is_kernels_available, is_triton_available

from llamatop.predict.stored import Stored

Capability = tuple[int, int]
"""Compute capability, as CUDA numbers it."""
LEAST: dict[str, Capability] = {"fp8": (8, 9), "mxfp4": (7, 5)}
"""The least with which transformers (5.23) leaves that format as it is."""
TRITON = "3.4.0"
"""The least Triton for mxfp4."""


def in_memory(disk: Stored, device: str, capability: Capability | None) -> Stored:
    """What is stored so, as it is held where it runs.

    `capability` is that of an accelerator elsewhere, which is taken to have the packages that it
    takes; None: the device is here, and is asked.
    """
    method = disk.method
    if reason := _unpacked_for(method, device, capability):
        return Stored(f"{method}, unpacked", note=f"{method} is unpacked {reason}")
    if capability is not None and method in LEAST:
        given = f"compute capability {_dotted(capability)}, given the package kernels"
        return replace(disk, note=f"{method} stays packed: {given}")
    return disk


def _unpacked_for(method: str, device: str, capability: Capability | None) -> str:
    """The reason for which it is unpacked; empty: it is not."""
    if method == "compressed-tensors":
        return "in the first forward"
    if method not in LEAST:
        return ""
    found = capability or _capability_here(device)
    if found is None:
        return "where there is no GPU"
    if found < LEAST[method]:
        return f"below compute capability {_dotted(LEAST[method])}; this is {_dotted(found)}"
    if capability is None and method == "mxfp4" and not _has_mxfp4_packages():
        return f"without the packages kernels and triton {TRITON}"
    return ""


def _capability_here(device: str) -> Capability | None:
    """None where that is no GPU."""
    if device != "cuda" or not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability()
    return major, minor


def _has_mxfp4_packages() -> bool:
    return bool(is_kernels_available() and is_triton_available(TRITON))


def _dotted(capability: Capability) -> str:
    return ".".join(map(str, capability))
