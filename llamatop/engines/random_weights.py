"""Models of an exact architecture with random weights, quickly, with every page touched.

Speed and memory are those of the trained model; the text is noise. Knows nothing of where a
configuration comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers.initialization import no_init_weights

from llamatop.engines.architecture import Layout
from llamatop.engines.base import Progress
from llamatop.engines.devices import Place

TILE = 1_000_003
"""Random values made once and repeated; a prime, so that no two rows of a matrix are alike."""
REPORT_BYTES = 64 * 2**20
"""Progress is told this often."""


def random_model(layout: Layout, place: Place, seed: int, progress: Progress) -> Any:
    """A model of that layout in that place, repeatable by `seed`.

    Takes 1 to 2 s for each billion parameters on a CPU. Tied weights stay tied.
    """
    with no_init_weights(), torch.device(place.device):
        model = layout.kind._from_config(layout.config, dtype=place.dtype)
    model.tie_weights()
    fill(model, seed, float(getattr(layout.text, "initializer_range", None) or 0.02), progress)
    return model.eval()


def fill(model: nn.Module, seed: int, std: float, progress: Progress) -> None:
    """Give every parameter a value: matrices noise of deviation `std`, the rest a neutral one."""
    total = weight_bytes(model)
    done = told = 0
    tiles: dict[torch.dtype, torch.Tensor] = {}
    for module, name, parameter in _parameters(model):
        if parameter.dtype not in tiles:
            tiles[parameter.dtype] = _tile(parameter, seed, std)
        _set(module, name, parameter, tiles[parameter.dtype])
        done += parameter.nbytes
        if done - told >= REPORT_BYTES or done == total:
            progress("weights", done, total)
            told = done


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters, tied ones once."""
    return sum(parameter.nbytes for parameter in model.parameters())


def _parameters(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    """Each parameter once, with the module that has it and its name there."""
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield module, name, parameter


def _tile(like: torch.Tensor, seed: int, std: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return (torch.randn(TILE, generator=random) * std).to(like.dtype).to(like.device)


def _set(module: nn.Module, name: str, parameter: nn.Parameter, tile: torch.Tensor) -> None:
    values = parameter.data
    if values.dim() >= 2:
        for part in values.view(-1).split(TILE):
            part.copy_(tile[: part.numel()])
    elif name != "weight":
        values.zero_()
    elif type(module).__module__.startswith("torch.nn"):
        values.fill_(1)  # transformers' own norms were made with their neutral value
