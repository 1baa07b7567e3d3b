"""What the `quantization_config` of a checkpoint says: which matrices are quantised, and how."""

from __future__ import annotations

import re
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.quantizers_utils import should_convert_module

from llamatop.engines import quantize
from llamatop.errors import InputError
from llamatop.predict import formats
from llamatop.predict.formats import Settings, Size
from llamatop.predict.stored import Stored

_PLAIN: dict[str, formats.Format] = {
    "gptq": formats.gptq,
    "awq": formats.awq,
    "bitsandbytes": formats.bitsandbytes,
    "fp8": formats.fp8,
}
"""Formats that treat all their matrices alike, by `quant_method`."""
_KEPT = ("modules_to_not_convert", "llm_int8_skip_modules", "ignored_layers")
_STACKED = ("fp8", "mxfp4")
"""Methods that know experts stacked in one parameter."""


def read(settings: Settings, model: nn.Module, device: str) -> Stored:
    """How that checkpoint stores the model; InputError for a method that is not known here."""
    method = str(settings.get("quant_method") or ("bitsandbytes" if _is_bnb(settings) else ""))
    sizes = {}
    for name, parameter, shape in _matrices(model, method, settings):
        size = _size(method, name, shape, settings, device)
        if size is not None:
            sizes[id(parameter)] = (size.weights, size.scales)
    return Stored(method, sizes)


def _is_bnb(settings: Settings) -> bool:
    return bool(settings.get("load_in_4bit") or settings.get("load_in_8bit"))


def _size(
    method: str, name: str, shape: tuple[int, ...], settings: Settings, device: str
) -> Size | None:
    """Of one matrix; None: it stays as it is."""
    match method:
        case "bitsandbytes" if settings.get("load_in_4bit") and quantize.packs(device):
            return Size(*quantize.quantized_bytes(shape[0], shape[1], "int4", device))
        case "mxfp4":
            return formats.mxfp4(shape, settings) if len(shape) == 3 else None
        case "compressed-tensors":
            group = _group_of(name, settings)
            return None if group is None else formats.compressed(shape, group)
        case "torchao":
            kind = settings.get("quant_type") or {}
            size = formats.torchao(shape, kind.get("default") or {})
            if size is None:
                raise _unknown(f"torchao's {kind!r}"[:80])
            return size
        case _ if method in _PLAIN:
            return _PLAIN[method](shape, settings)
        case _:
            raise _unknown(repr(method))


def _unknown(what: str) -> InputError:
    return InputError(f"its weights are quantised by {what}, whose size is not known here")


def _matrices(
    model: Any, method: str, settings: Settings
) -> list[tuple[str, nn.Parameter, tuple[int, ...]]]:
    """(name of its module, parameter, (experts,) outputs, inputs) of what is quantised."""
    kept = [str(name) for key in _KEPT for name in settings.get(key) or ()]
    head = model.get_output_embeddings()
    found: list[tuple[str, Any, tuple[int, ...]]] = []
    for name, part in model.named_modules():
        if (part is head and not settings.get("lm_head")) or not _converted(name, kept, method):
            continue
        if type(part) is nn.Linear or isinstance(part, Conv1D):
            found.append((name, part.weight, quantize.shape_of(part)))
        elif method in _STACKED:
            for _, parameter in part.named_parameters(recurse=False):
                if parameter.dim() == 3 and not isinstance(part, nn.Conv1d):
                    found.append((name, parameter, tuple(parameter.shape)))
    return found


def _converted(name: str, kept: list[str], method: str) -> bool:
    if method == "gptq":  # only what is inside a decoder layer
        return re.search(r"(layers|h|blocks)\.\d+\.", name) is not None
    return bool(should_convert_module(name, kept))


def _group_of(name: str, settings: Settings) -> Settings | None:
    """The `weights` of the group of compressed-tensors that a linear module is in."""
    if any(_named(name, str(pattern)) for pattern in settings.get("ignore") or ()):
        return None
    for group in (settings.get("config_groups") or {}).values():
        if any(_named(name, str(target)) for target in group.get("targets") or ()):
            weights = group.get("weights")
            return dict(weights) if weights else None
    return None


def _named(name: str, pattern: str) -> bool:
    """As compressed-tensors matches: a class, a name, or `re:` and an expression."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    return pattern in ("Linear", name) or name.startswith(f"{pattern}.")
