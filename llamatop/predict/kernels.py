"""What computing with a quantised matrix holds for a moment, as tensors of those sizes.

Stands in for bitsandbytes' kernels, and for torch's own, under fake tensors, so that a trace needs
neither the library nor a GPU. Follows its Python sources (0.50) tensor by tensor; computes nothing
that means anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from llamatop.engines import int8, quantize
from llamatop.settings.config import QuantizeName

Kernel = Callable[[torch.Tensor, int], torch.Tensor]
"""(inputs of shape (tokens, columns), rows) to outputs of shape (tokens, rows)."""


def stand_in(layers: nn.Module, kernel: Kernel) -> None:
    """Let the linear modules of all layers hold what that kernel's would."""
    for module in layers.modules():
        if quantize.can_be(module, "int8"):
            rows, _ = quantize.shape_of(module)
            module.forward = partial(_forward, kernel, module, rows)


def of(how: QuantizeName, device: str, dtype: torch.dtype) -> Kernel:
    """The one that computes in `dtype` on that device; `none`: any that unpacks a matrix first."""
    if how == "none":
        return _int4_unpacked
    if quantize.by_torch(how, device, dtype):
        return _int8_by_torch
    if how == "int8":
        if device != "cpu":
            return _int8_gpu
        return _int8_cpu if _multiplies_int8() else _int8_plain
    return _int4_fused if quantize.packs(device) else _int4_unpacked


def _multiplies_int8() -> bool:
    """Whether the library trusts this processor's product of 8-bit matrices."""
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")


def _forward(kernel: Kernel, module: nn.Module, rows: int, inputs: torch.Tensor) -> torch.Tensor:
    out = kernel(inputs.reshape(-1, inputs.shape[-1]), rows)
    if module.bias is not None:
        out = out + module.bias
    return out.reshape(*inputs.shape[:-1], rows)


def _int8_by_torch(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    """As `Int8.forward` has it."""
    tokens, columns = inputs.shape
    out = inputs.new_empty((tokens, rows))
    if tokens > int8.FEW_TOKENS:
        some = inputs.new_empty((min(int8.ROWS, rows), columns))
        _ = inputs @ some.t()
    return out


def _int8_cpu(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    eight, scales = _inputs_int8(inputs)
    whole = eight.new_empty((inputs.shape[0], rows), dtype=torch.int32)
    return _scaled(whole, scales, inputs.dtype)


def _int8_plain(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    """The whole matrix and the inputs in 32 bits, for as long as the product takes."""
    eight, scales = _inputs_int8(inputs)
    return _scaled(_product(eight, rows), scales, inputs.dtype)


def _product(eight: torch.Tensor, rows: int) -> torch.Tensor:
    matrix = eight.new_empty((rows, eight.shape[1]), dtype=torch.float32)
    return torch.matmul(eight.float(), matrix.t()).to(torch.int32)


def _inputs_int8(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs in 8 bits, and a scale for each token."""
    half = inputs.to(torch.float16)
    large = half.abs() >= 6
    scales = half.abs().amax(dim=1).float()
    scaled = _times(half, scales.unsqueeze(-1))
    rounded = torch.round(scaled)
    del scaled
    del large
    return rounded.to(torch.int8), scales


def _scaled(whole: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    factors = scales.unsqueeze(-1) * whole.new_empty((1, whole.shape[1]), dtype=torch.float32)
    product = _times(whole, factors)
    del factors
    product = product * 0.5
    return product.to(dtype)


def _times(numbers: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Two tensors of different dtypes: on a CPU torch first copies the one into the other's."""
    return numbers.to(factors.dtype) * factors


def _int8_gpu(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    tokens = inputs.shape[0]
    eight = inputs.to(torch.float16).to(torch.int8)
    whole = inputs.new_empty((tokens, rows), dtype=torch.int32)
    half = whole.to(torch.float16)
    out = half.to(inputs.dtype)
    del whole, half, eight
    return out


def _int4_fused(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    brief = inputs.to(torch.bfloat16)
    return brief.new_empty((inputs.shape[0], rows)).to(inputs.dtype)


def _int4_unpacked(inputs: torch.Tensor, rows: int) -> torch.Tensor:
    """The whole matrix in the dtype of the inputs, for as long as it takes."""
    matrix = inputs.new_empty((rows, inputs.shape[1]))
    return inputs @ matrix.t()
