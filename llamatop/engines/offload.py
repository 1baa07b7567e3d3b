"""Weights that lie in the host's memory or on disk and come to the device as each layer needs them.

By accelerate's hooks; knows transformers' `from_pretrained`, not where a model comes from. While a
module computes it holds its weights, so two threads must not run one such model at once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from typing import Any

import torch
from accelerate import cpu_offload
from torch import nn

from llamatop.engines.offload_folder import prefix
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import size

DEVICE_MAP = {"": "disk"}
"""accelerate's: nothing stays in memory."""

Folder = tempfile.TemporaryDirectory[str]


def check_device(config: RunConfig, device: torch.device) -> None:
    """Raise InputError where weights cannot be offloaded from that device."""
    if config.offload == "cpu" and device.type == "cpu":
        raise InputError("--offload cpu: the model is on the CPU already; use disk")
    if config.offload == "disk" and device.type != "cpu":
        raise InputError(
            f"--offload disk: computes on the CPU only, not on {device}; "
            "use --offload cpu or --device cpu"
        )


def make_folder(model: nn.Module, stored: Collection[str]) -> Folder:
    """A temporary folder for weights that lie in the checkpoint in another shape.

    Such as experts, one matrix each there and stacked in the model; the others are read where they
    are. `model` has its parameters' shapes and dtypes (on meta), `stored` are the names of the
    checkpoint's tensors. Raises InputError if they may not fit.
    """
    parameters = model.named_parameters()
    needed = sum(parameter.nbytes for name, parameter in parameters if name not in stored)
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"--offload disk: may write {size(needed)} to {place}, which has {size(free)} free; "
            "set TMPDIR to another folder"
        )
    return tempfile.TemporaryDirectory(
        prefix=prefix(os.getpid()), dir=place, ignore_cleanup_errors=True
    )


def to_host(model: Any, device: torch.device) -> Any:
    """The model, whose weights are on the CPU, computing on `device`."""
    return cpu_offload(model, execution_device=device)
