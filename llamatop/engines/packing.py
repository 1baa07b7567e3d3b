"""Linear layers whose weights lie as the processor's kernels read them.

oneDNN multiplies by blocks of a matrix; torch lays a plain one out anew at each call, or multiplies
without. Here it is laid out once, and the plain one freed, layer by layer: a matrix and its
copy exist together for one layer at most. Knows no model and measures nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from llamatop.hardware.memory import give_back_pages_of_a_file

DTYPES = (torch.float32, torch.bfloat16)
"""In which packed matrices are multiplied."""


class Packed(nn.Module):  # type: ignore[misc]
    """A linear layer with its weight in blocks, of the same type and the same size."""

    def __init__(self, linear: nn.Linear) -> None:
        """Takes the weight out of `linear`."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self.read_plain = False
        """Whether something else than its own forward has asked for its weight."""
        plain = linear.weight.detach()
        self._blocks = pack(plain)
        give_back_pages_of_a_file(plain.data_ptr(), plain.nbytes)
        del linear.weight

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Of shape (…, in_features) to (…, out_features)."""
        return multiply(inputs, self._blocks, self.bias)

    @property
    def weight(self) -> torch.Tensor:
        """The plain matrix, made anew."""
        self.read_plain = True
        return self._blocks.to_dense()

    @property
    def weight_bytes(self) -> int:
        """Of the matrix."""
        return int(self._blocks.numel() * self._blocks.element_size())

    def unpacked(self) -> nn.Linear:
        """The plain layer again."""
        with torch.device("meta"):
            linear = nn.Linear(self.in_features, self.out_features, bias=False)
        linear.weight = nn.Parameter(self._blocks.to_dense())
        linear.bias = self.bias
        return linear.eval()


def pack(weight: torch.Tensor) -> torch.Tensor:
    """The matrix in blocks, for any number of rows that it is multiplied by; not a view."""
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def multiply(
    inputs: torch.Tensor, blocks: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Inputs of shape (…, columns) with a packed matrix; of shape (…, rows)."""
    return torch.ops.mkldnn._linear_pointwise.default(inputs, blocks, bias, "none", [], "")


def available() -> bool:
    """Whether this build of torch has what packs."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return bool(torch.backends.mkldnn.is_available()) and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def can_be(part: nn.Module) -> bool:
    """As for `quantize`: linear layers, but no subclass; on a CPU, and nothing hooked to them."""
    if type(part) is not nn.Linear or hasattr(part, "_hf_hook"):
        return False
    weight = part.weight
    return bool(type(weight.data) is torch.Tensor and weight.device.type in ("cpu", "meta")
                and weight.dtype in DTYPES and weight.is_contiguous())  # fmt: skip


def packable(model: nn.Module) -> dict[str, nn.Linear]:
    """By name the layers that can be packed. A matrix that others use too, as a tied head's, is
    none: it would be there twice."""
    held = Counter(
        id(tensor)
        for part in model.modules()
        for tensor in part.parameters(recurse=False)
    )  # fmt: skip
    return {
        name: part
        for name, part in model.named_modules()
        if can_be(part) and held[id(part.weight)] == 1
    }


def pack_layers(model: nn.Module, names: list[str], told: Callable[[int], None]) -> list[str]:
    """Pack those layers, one after another, and run the model once; those that stayed plain.

    `told` hears the bytes done. Where a model reads a layer's weight by itself, or does not run
    packed, such layers are made plain again.
    """
    done = 0
    for name in names:
        linear = model.get_submodule(name)
        model.set_submodule(name, Packed(linear))
        done += model.get_submodule(name).weight_bytes
        told(done)
    try:
        with torch.inference_mode():
            model(input_ids=torch.zeros((1, 1), dtype=torch.long), use_cache=False)
    except Exception:
        return unpack(model, lambda _: True)
    return unpack(model, lambda layer: layer.read_plain)


def unpack(model: nn.Module, which: Callable[[Packed], bool]) -> list[str]:
    """Make those layers plain again; their names."""
    chosen = [(name, layer) for name, layer in layers(model) if which(layer)]
    for name, layer in chosen:
        model.set_submodule(name, layer.unpacked())
    return [name for name, _ in chosen]


def layers(model: nn.Module) -> Iterator[tuple[str, Packed]]:
    """The packed ones, by name."""
    return ((name, part) for name, part in model.named_modules() if isinstance(part, Packed))


def packed_bytes(part: Any) -> int:
    """Of a packed layer's matrix; 0 for any other module."""
    return part.weight_bytes if isinstance(part, Packed) else 0
