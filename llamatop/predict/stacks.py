"""Experts that a model keeps stacked in one parameter: which they are, and each one's matrices.

Checkpoints store the matrices of each expert by themselves, mostly gate and up apart, and that is
how their quantisation counts them. Knows shapes and names; no formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

_FUSED = ("gate_up", "up_gate", "w13", "input_linear")
"""In names of parameters that hold two matrices of each expert, one above the other."""
_OUT = ("down", "w2", "output", "fc2", "c_proj")
"""In names of those whose outputs, not inputs, are as wide as the model."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Matrices alike that lie in one parameter."""

    name: str
    """As a checkpoint would call the first of them."""
    parameter: Any
    copies: int
    rows: int
    """Outputs of each."""
    columns: int
    """Inputs of each."""


def stacks(model: nn.Module, width: int) -> list[Stack]:
    """All of a model whose hidden states are so wide."""
    found = []
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv1d | nn.Embedding):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if is_stack(parameter):
                found.append(_stack(path, name, parameter, width))
    return found


def is_stack(parameter: Any) -> bool:
    """Not a kernel of a convolution, whose last side is small."""
    return bool(parameter.dim() == 3 and parameter.shape[0] > 1 and min(parameter.shape[1:]) > 4)


def _stack(path: str, name: str, parameter: Any, width: int) -> Stack:
    experts, rows, columns = map(int, parameter.shape)
    turned = columns != width if not _has(name, _OUT) else rows != width
    if turned and width in (rows, columns):
        rows, columns = columns, rows
    fused = _has(name, _FUSED) and rows % 2 == 0
    kind = "gate_proj" if fused else name
    called = f"{path}.0" if name == "weight" else f"{path}.0.{kind}"
    copies = experts * (2 if fused else 1)
    return Stack(called, parameter, copies, rows // 2 if fused else rows, columns)


def _has(name: str, signs: tuple[str, ...]) -> bool:
    return any(sign in name for sign in signs)
