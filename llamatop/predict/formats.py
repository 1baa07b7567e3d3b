"""Bytes of one matrix in each of the formats of quantised checkpoints. Arithmetic on shapes.

What a `quantization_config` leaves out has the default that the format's own library gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import Any, NamedTuple

Settings = dict[str, Any]


class Size(NamedTuple):
    """Bytes of a matrix: of its weights, and of the scales, zeros and indices beside them."""

    weights: int
    scales: int


Format = Callable[[tuple[int, ...], Settings], Size]
"""(shape: experts if any, outputs, inputs; settings) to bytes."""


def gptq(shape: tuple[int, ...], settings: Settings) -> Size:
    """Packed weights and zeros, 16-bit scales for each group, a 32-bit group for each input."""
    packed, grouped = _packed_groups(shape, settings)
    return Size(packed, grouped + 4 * shape[-1])


def awq(shape: tuple[int, ...], settings: Settings) -> Size:
    """Packed weights and zeros, 16-bit scales for each group."""
    return Size(*_packed_groups(shape, settings))


def _packed_groups(shape: tuple[int, ...], settings: Settings) -> tuple[int, int]:
    bits = int(settings.get("bits") or settings.get("w_bit") or 4)
    size = int(settings.get("group_size") or settings.get("q_group_size") or 128)
    groups = prod(shape[:-1]) * _groups(shape[-1], size)
    return prod(shape) * bits // 8, groups * 2 + groups * bits // 8


def _groups(columns: int, size: int | None) -> int:
    return ceil(columns / size) if size and size > 0 else 1


def bitsandbytes(shape: tuple[int, ...], settings: Settings) -> Size:
    """8 bits and a 32-bit scale a row; or 4 bits and a scale for 64, of 8 bits if doubled."""
    weights = prod(shape)
    if settings.get("load_in_8bit") or not settings.get("load_in_4bit", True):
        return Size(weights, 4 * prod(shape[:-1]))
    blocks = ceil(weights / 64)
    if settings.get("bnb_4bit_use_double_quant"):
        return Size(weights // 2, blocks + 4 * ceil(blocks / 256))
    return Size(weights // 2, 4 * blocks)


def fp8(shape: tuple[int, ...], settings: Settings) -> Size:
    """A byte a weight, and a scale for each block, of 32 bits unless `scale_bytes` says other, or
    a 32-bit one for all of an expert."""
    block = settings.get("weight_block_size", (128, 128))
    if not block:
        return Size(prod(shape), 4 * prod(shape[:-2]))
    tall, wide = (ceil(side / int(of)) for side, of in zip(shape[-2:], block, strict=True))
    width = 1 if settings.get("scale_fmt") == "ue8m0" else int(settings.get("scale_bytes", 4))
    return Size(prod(shape), width * prod(shape[:-2]) * tall * wide)


def mxfp4(shape: tuple[int, ...], settings: Settings) -> Size:
    """4 bits a weight, and an 8-bit exponent for each 32."""
    return Size(prod(shape) // 2, prod(shape) // 32)


def mlx(shape: tuple[int, ...], settings: Settings) -> Size:
    """Packed weights; for each group a scale and a bias of 16 bits, or an 8-bit exponent."""
    bits, size = int(settings.get("bits", 4)), int(settings.get("group_size", 64))
    groups = prod(shape[:-1]) * _groups(shape[-1], size)
    width = 4 if settings.get("mode", "affine") == "affine" else 1
    return Size(prod(shape) * bits // 8, groups * width)


def compressed(shape: tuple[int, ...], weights: Settings) -> Size:
    """By the `weights` of one of compressed-tensors' groups; zeros where it is not symmetric."""
    bits = int(weights.get("num_bits", 8))
    rows, columns = prod(shape[:-1]), shape[-1]
    match weights.get("strategy"):
        case "group" | "tensor_group":
            groups = rows * _groups(columns, weights.get("group_size"))
        case "block":
            tall, wide = weights.get("block_structure") or (128, 128)
            groups = prod(shape[:-2]) * ceil(shape[-2] / tall) * ceil(columns / wide)
        case "tensor":
            groups = prod(shape[:-2])
        case _:  # "channel"
            groups = rows
    zeros = 0 if weights.get("symmetric", True) else ceil(groups * bits / 8)
    scale = 1 if weights.get("strategy") == "tensor_group" else 2
    return Size(prod(shape) * bits // 8, groups * scale + zeros)


def torchao(shape: tuple[int, ...], settings: Settings) -> Size | None:
    """By the name of its configuration; None where that is not known."""
    kind = str(settings.get("_type", "")).lower()
    data = settings.get("_data") or {}
    rows, weights = prod(shape[:-1]), prod(shape)
    if kind.startswith("int4weightonly"):
        return Size(weights // 2, 4 * rows * _groups(shape[-1], data.get("group_size", 128)))
    if kind.startswith(("int8weightonly", "int8dynamicactivationint8", "float8")):
        return Size(weights, 4 * rows)
    return None
