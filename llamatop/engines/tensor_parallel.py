"""Whether a model can be split over tensor parallel ranks, and how transformers is told to.

Each rank holds a part of each matrix that the model's plan names, and the rest whole.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.distributed import DistributedConfig

from llamatop.engines import ranks
from llamatop.engines.architecture import Layout
from llamatop.engines.resolve import Source
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig


def check(config: RunConfig, source: Source, layout: Layout, device: torch.device) -> None:
    """Raise InputError where the model, or this machine's devices, cannot be shared so."""
    option = f"--tp {config.tp}"
    ranks.check_devices(config, device)
    if source.quantization is not None:
        raise InputError(f"{option}: quantised weights are not split; use a plain checkpoint")
    text = layout.text
    if not getattr(text, "base_model_tp_plan", None):
        raise InputError(
            f"{option}: transformers has no plan to split a model of type {text.model_type}"
        )
    for name, what in (
        ("num_attention_heads", "attention heads"),
        ("num_key_value_heads", "key-value heads"),
    ):
        heads = getattr(text, name, None)
        if isinstance(heads, int) and heads % config.tp:
            raise InputError(
                f"{option}: {source.model} has {heads} {what}, which {config.tp} does not divide"
            )


def settings(size: int) -> dict[str, Any]:
    """What `from_pretrained` is told, in each rank."""
    return {"distributed_config": _wanted(size)}


def share(model: Any, size: int) -> Any:
    """The model with the parameters that are to be shared as this rank's parts, on meta as well."""
    wanted, _, mesh = model.prepare_distribute_model(_wanted(size))
    return model.maybe_distribute_model(model, wanted, mesh)


def _wanted(size: int) -> DistributedConfig:
    return DistributedConfig(tp_plan="auto", tp_size=size)
