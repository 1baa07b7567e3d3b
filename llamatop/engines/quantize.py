"""Weights in 8 or 4 bits: which matrices, what they take then, and the doing.

`int8` has a scale for each row: on a CPU in bfloat16 weights alone, by torch's own kernel (see
`int8`); elsewhere LLM.int8() of bitsandbytes, which has inputs in 8 bits too. `int4` is the 4-bit
NormalFloat of QLoRA, by bitsandbytes: a scale for each 64 weights. All are done when a model is
loaded; embeddings, head and norms stay as they are. Imports bitsandbytes only to quantise, so sizes
are known without.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from llamatop.engines import int8
from llamatop.engines.devices import Place
from llamatop.errors import InputError
from llamatop.hardware.processor import cpu_has
from llamatop.settings.config import QuantizeName

LIBRARY = "bitsandbytes"
BLOCK = 64
"""Weights that share a scale in 4 bits."""
ROWS = 32
"""A matrix in 4 bits has a multiple of so many rows: the CPU's kernel takes them together."""


def by_torch(how: QuantizeName, device: str, dtype: torch.dtype) -> bool:
    """Whether torch's kernel multiplies, and nothing else is needed."""
    return how == "int8" and device == "cpu" and dtype == int8.DTYPE and int8.available()


def check_library(how: QuantizeName) -> None:
    """InputError where bitsandbytes is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        only = "; on a CPU with --dtype bfloat16 int8 needs none" if how == "int8" else ""
        raise InputError(
            f"--quantize {how}: needs {LIBRARY}; install it with pip install {LIBRARY}{only}"
        )


def matrices(model: Any, how: QuantizeName) -> dict[str, Any]:
    """The modules whose weight is quantised, by name; InputError where that would be few of them.

    Experts that are stacked in one parameter are none that the library knows.
    """
    if how == "none":
        return {}
    if stacked := sum(p.numel() for p in model.parameters() if _is_stacked(p)):
        share = stacked / sum(p.numel() for p in model.parameters())
        raise InputError(
            f"--quantize {how}: {share:.0%} of the weights are experts stacked in 3-D parameters, "
            f"which {LIBRARY} does not quantise; leave it out"
        )
    head = model.get_output_embeddings()
    found = {path: part for path, part in model.named_modules() if part is not head}
    return {path: part for path, part in found.items() if can_be(part, how)}


def _is_stacked(parameter: torch.Tensor) -> bool:
    """Not a kernel of a convolution, whose last side is small."""
    return bool(parameter.dim() == 3 and min(parameter.shape) > 4)


def shape_of(matrix: Any) -> tuple[int, int]:
    """(rows, columns): outputs and inputs."""
    rows, columns = matrix.weight.shape
    return (columns, rows) if isinstance(matrix, Conv1D) else (rows, columns)


def can_be(part: nn.Module, how: QuantizeName) -> bool:
    """As transformers chooses: linear layers, but no subclass such as a router."""
    if type(part) is not nn.Linear and not isinstance(part, Conv1D):
        return False
    rows, columns = shape_of(part)
    return how == "int8" or (rows % ROWS == 0 and columns % BLOCK == 0)


def quantized_bytes(
    rows: int, columns: int, how: QuantizeName, device: str, dtype: torch.dtype
) -> tuple[int, int]:
    """(weights, scales) in bytes of a matrix that is computed with in `dtype`."""
    if how == "int8":
        width = int8.DTYPE.itemsize if by_torch(how, device, dtype) else 4
        return rows * columns, width * rows
    width = 2 if packs(device) else 4
    return rows * columns // 2, width * rows * columns // BLOCK


def packs(device: str) -> bool:
    """Whether 4-bit weights are computed with as they are, and laid out anew for that."""
    return device == "cpu" and cpu_has("avx512_bf16")


def settings(how: QuantizeName, dtype: torch.dtype, kept: list[str]) -> Any:
    """transformers' `quantization_config`, to compute in `dtype`."""
    from transformers import BitsAndBytesConfig  # noqa: PLC0415  (asks what is installed)

    logging.getLogger(LIBRARY).setLevel(logging.ERROR)  # one line a matrix and a step
    return BitsAndBytesConfig(
        load_in_8bit=how == "int8",
        load_in_4bit=how == "int4",
        llm_int8_skip_modules=kept,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
    )


def skipped(model: nn.Module, chosen: dict[str, Any]) -> list[str]:
    """Linear modules that stay as they are, by name."""
    linear = (path for path, part in model.named_modules() if isinstance(part, nn.Linear | Conv1D))
    return [path for path in linear if path not in chosen]


def replace(model: nn.Module, how: QuantizeName, place: Place) -> None:
    """Put modules for fewer bits in place of the linear ones; their weights are on meta."""
    chosen = matrices(model, how)
    if by_torch(how, place.device.type, place.dtype):
        int8.put_in_place(model, {name: shape_of(part) for name, part in chosen.items()})
        return
    kept = skipped(model, chosen)
    bitsandbytes = importlib.import_module("transformers.integrations.bitsandbytes")
    bitsandbytes.replace_with_bnb_linear(model, kept, settings(how, place.dtype, kept))


def by_layers(model: nn.Module, how: QuantizeName, told: Callable[[int], None]) -> None:
    """Quantise a model that has its values, layer by layer, where torch's kernel multiplies."""
    chosen = matrices(model, how)
    int8.quantize_layers(model, {name: shape_of(part) for name, part in chosen.items()}, told)


def is_quantized(module: nn.Module) -> bool:
    """Whether its weight has fewer bits."""
    return isinstance(module, int8.Int8) or _is_of_library(module)


def _is_of_library(module: nn.Module) -> bool:
    return type(module).__module__.startswith(f"{LIBRARY}.")


def take(module: Any, values: torch.Tensor, device: torch.device) -> None:
    """Let a module that has its weight on meta have those values, in fewer bits on the device."""
    if isinstance(module, int8.Int8):
        module.take(values)
        return
    weight = module.weight
    module.weight = type(weight)(values, requires_grad=False, **vars(weight)).to(device)


def settle(model: Any, device: torch.device) -> None:
    """One token, after which the library has laid out the weights as it computes with them."""
    with torch.no_grad():
        model(input_ids=torch.zeros((1, 1), dtype=torch.long, device=device), use_cache=False)


def parameter_count(parameter: Any) -> int:
    """How many weights; two share a byte in 4 bits."""
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else torch.Size(state.shape).numel())


def packed(model: Any) -> list[torch.Tensor]:
    """What a quantised checkpoint stores in buffers: GPTQ's and AWQ's weights, scales and zeros."""
    if getattr(model, "hf_quantizer", None) is None:
        return []
    return [
        buffer
        for part in model.modules()
        for name, buffer in part.named_buffers(recurse=False)
        if name not in part._non_persistent_buffers_set
    ]


def scale_bytes(module: Any) -> int:
    """Bytes of the scales that are kept beside a module's weight."""
    if isinstance(module, int8.Int8):
        return int(module.scales.nbytes)
    if not _is_of_library(module):
        return 0
    state = getattr(module.weight, "quant_state", None)
    if state is not None:
        return int(state.absmax.nbytes)
    kept = (getattr(part, "SCB", None) for part in (module.weight, getattr(module, "state", None)))
    return next((int(scales.nbytes) for scales in kept if scales is not None), 0)
