"""How the weights of a model are stored: matrix by matrix, in bits of their own and scales.

Either as `--quantize` makes them, or as the `quantization_config` of a checkpoint says. Counts of
parameters do not change with it. Reads no weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from llamatop.engines import quantize
from llamatop.settings.config import QuantizeName


class UnknownFormatError(Exception):
    """How many bytes such weights take is not known here."""


@dataclass(frozen=True)
class Stored:
    """What is not stored in the model's dtype. Bytes."""

    method: str = ""
    """As it is called; empty: all is stored as it is."""
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """(weights, scales and zeros) by the `id` of the parameter that they stand for."""
    note: str = ""
    """Why it is held so, where that depends on the device."""

    def bytes_of(self, parameters: Iterable[Any]) -> int:
        """Of all these, each as it is stored."""
        return sum(sum(self.sizes.get(id(p), (p.nbytes, 0))) for p in parameters)

    def scales_of(self, parameters: Iterable[Any]) -> int:
        """Of that, scales and zeros."""
        return sum(self.sizes.get(id(p), (0, 0))[1] for p in parameters)


def made(model: nn.Module, how: QuantizeName, device: str) -> Stored:
    """As `--quantize` makes it. Raises InputError where it cannot."""
    if how == "none":
        return Stored()
    chosen = quantize.matrices(model, how)
    sizes = {
        id(part.weight): quantize.quantized_bytes(
            *quantize.shape_of(part), how, device, part.weight.dtype
        )
        for part in chosen.values()
    }
    return Stored(how, sizes)
