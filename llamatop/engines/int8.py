"""Linear layers of a processor whose weights have 8 bits, and a scale for each row.

torch's own kernel reads one byte a weight and computes in bfloat16. Where many tokens go through,
some rows at a time are written out and multiplied as usual, which is quicker then. Inputs stay as
they are. Knows no model and measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from llamatop.hardware.memory import give_back_pages_of_a_file

DTYPE = torch.bfloat16
"""Of inputs; in float32 the kernel takes fifty times as long as a plain matrix."""
FEW_TOKENS = 96
"""Up to so many the kernel is quicker than matrices that are written out: on matrices of 768 x 768
to 14336 x 4096 (an Intel Xeon with AVX-512 and AMX, torch 2.13) both take as long at about 100."""
ROWS = 512
"""That are written out at a time."""
LARGEST = 127


def available() -> bool:
    """Whether this build of torch has the kernel."""
    return hasattr(torch, "_weight_int8pack_mm")


class Int8(nn.Module):  # type: ignore[misc]
    """A linear layer with its weight in 8 bits, which is empty until it takes values."""

    def __init__(self, rows: int, columns: int, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.in_features, self.out_features = columns, rows
        with torch.device("meta"):
            weight = torch.empty((rows, columns), dtype=torch.int8)
            self.weight = nn.Parameter(weight, requires_grad=False)
            self.register_buffer("scales", torch.empty(rows, dtype=DTYPE))
        self.bias = bias

    def take(self, values: torch.Tensor) -> None:
        """The nearest to these, of shape (rows, columns); some rows at a time."""
        weight = torch.empty(values.shape, dtype=torch.int8)
        scales = torch.empty(values.shape[0], dtype=DTYPE)
        for at in range(0, values.shape[0], ROWS):
            some = values[at : at + ROWS].float()
            largest = some.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
            scale = (largest / LARGEST).to(DTYPE)
            some.div_(scale.float()[:, None]).round_().clamp_(-LARGEST, LARGEST)
            weight[at : at + ROWS] = some
            scales[at : at + ROWS] = scale
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scales = scales

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Of shape (…, in_features) to (…, out_features)."""
        tokens = inputs.reshape(-1, self.in_features)
        if tokens.shape[0] <= FEW_TOKENS:
            out = torch._weight_int8pack_mm(tokens.contiguous(), self.weight, self.scales)
        else:
            out = self._written_out(tokens)
        if self.bias is not None:
            out += self.bias
        return out.reshape(*inputs.shape[:-1], self.out_features)

    def _written_out(self, tokens: torch.Tensor) -> torch.Tensor:
        out = tokens.new_empty((tokens.shape[0], self.out_features))
        for at in range(0, self.out_features, ROWS):
            some = self.weight[at : at + ROWS].to(DTYPE)
            out[:, at : at + ROWS] = functional.linear(tokens, some)
            del some  # before the next is written out
        return out.mul_(self.scales)


def put_in_place(model: nn.Module, layers: Mapping[str, tuple[int, int]]) -> None:
    """Empty layers of those (rows, columns) where the model has linear ones, by name."""
    for name, (rows, columns) in layers.items():
        model.set_submodule(name, Int8(rows, columns, model.get_submodule(name).bias))


def quantize_layers(
    model: nn.Module, layers: Mapping[str, tuple[int, int]], told: Callable[[int], None]
) -> None:
    """The same with the values that the layers have, one after another; each is freed at once.

    `told` hears the bytes done. A layer that lies the other way round (`Conv1D`) is turned.
    """
    done = 0
    for name, (rows, columns) in layers.items():
        old: Any = model.get_submodule(name)
        plain = old.weight.detach()
        new = Int8(rows, columns, old.bias)
        new.take(plain if isinstance(old, nn.Linear) else plain.t())
        done += plain.nbytes
        give_back_pages_of_a_file(plain.data_ptr(), plain.nbytes)
        model.set_submodule(name, new)
        del old.weight, plain
        told(done)
