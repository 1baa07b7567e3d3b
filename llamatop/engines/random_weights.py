"""Models of an exact architecture with random weights, quickly, with every page touched.

Speed and memory are those of the trained model; the text is noise. Knows nothing of where a
configuration comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.initialization import no_init_weights

from llamatop.engines import packing, quantize, tensor_parallel
from llamatop.engines.architecture import Layout
from llamatop.engines.base import Progress
from llamatop.engines.devices import Place
from llamatop.settings.config import QuantizeName

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
    fill(model, seed, _std(layout), progress)
    return model.eval()


def random_shared(layout: Layout, place: Place, size: int, seed: int, progress: Progress) -> Any:
    """The same, of which this rank of `size` keeps its part; called by all of them.

    A matrix is made whole, cut, and gone before the next: so much more than its part a rank takes.
    """
    with no_init_weights(), torch.device("cpu"), _on_meta(_is_matrix):
        made = layout.kind._from_config(layout.config, dtype=place.dtype)
    made = tensor_parallel.share(made, size)
    made.tie_weights()
    fill(made, seed, _std(layout), progress, place)
    made.tie_weights()  # it shares parameters, and they are others now
    return made.eval().to(place.device)


def random_quantized(
    layout: Layout, place: Place, how: QuantizeName, seed: int, progress: Progress
) -> Any:
    """The same, quantised matrix by matrix as they are made.

    Made on the CPU, where only what was written takes memory, then moved.
    """
    with no_init_weights(), torch.device("cpu"), _on_meta(_is_linear):
        made = layout.kind._from_config(layout.config, dtype=place.dtype)
    made.tie_weights()
    quantize.replace(made, how, place)
    fill(made, seed, _std(layout), progress, place)
    return made.eval().to(place.device)


def _std(layout: Layout) -> float:
    return float(getattr(layout.text, "initializer_range", None) or 0.02)


def _is_linear(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    return name == "weight" and isinstance(module, nn.Linear)


def _is_matrix(module: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    return bool(parameter.dim() >= 2)


@contextmanager
def _on_meta(chosen: Callable[[nn.Module, str, nn.Parameter], bool]) -> Iterator[None]:
    """Parameters that are `chosen` get a shape but no memory."""
    before = nn.Module.register_parameter

    def register(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and chosen(module, name, parameter):
            parameter = nn.Parameter(parameter.to("meta"), requires_grad=False)
        before(module, name, parameter)

    nn.Module.register_parameter = register
    try:
        yield
    finally:
        nn.Module.register_parameter = before


def fill(
    model: nn.Module, seed: int, std: float, progress: Progress, place: Place | None = None
) -> None:
    """Give every parameter a value: matrices noise of deviation `std`, the rest a neutral one.

    Those on meta are made as `place` says, and quantised where the module is for that, or cut to
    this rank's part.
    """
    parameters = list(_parameters(model))
    total = sum(parameter.numel() for _, _, parameter in parameters)
    size = weight_bytes(model) / max(total, 1)
    done = told = 0
    tiles: dict[torch.dtype, torch.Tensor] = {}
    for module, name, parameter in parameters:
        real = parameter if place is None else _made(module, parameter, place)
        if real.dtype not in tiles:
            tiles[real.dtype] = _tile(real, seed, std)
        _set(module, name, real, tiles[real.dtype])
        if place is not None and real is not parameter:
            _put(module, name, _part(real, parameter), place)
        done += parameter.numel()
        if done - told >= REPORT_BYTES // 2 or done == total:
            progress("weights", round(done * size), round(total * size))
            told = done


def _made(module: nn.Module, parameter: nn.Parameter, place: Place) -> nn.Parameter:
    """The parameter, or a whole one with memory where it has none."""
    if parameter.device.type != "meta":
        return parameter
    dtype = place.dtype if quantize.is_quantized(module) else parameter.dtype
    device = place.device if isinstance(parameter, DTensor) else None
    values = torch.empty(parameter.shape, dtype=dtype, device=device)
    return nn.Parameter(values, requires_grad=False)


def _part(real: nn.Parameter, parameter: nn.Parameter) -> nn.Parameter:
    """What this rank keeps of it, as `parameter` says; all of it where that is not shared."""
    if not isinstance(parameter, DTensor):
        return real
    mesh, placements = parameter.device_mesh, parameter.placements
    part = distribute_tensor(real.data, mesh, placements, src_data_rank=None)
    return nn.Parameter(part, requires_grad=False)


def _put(module: nn.Module, name: str, real: nn.Parameter, place: Place) -> None:
    """Put it into the module, in fewer bits if it is the module's weight and made for that."""
    if name == "weight" and quantize.is_quantized(module):
        quantize.take(module, real.data, place.device)
    else:
        setattr(module, name, real)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters, tied ones once, and of what quantised ones keep beside them.

    Of those that tensor parallel ranks share, the part that is here.
    """
    scales = sum(quantize.scale_bytes(module) for module in model.modules())
    packed = sum(int(tensor.nbytes) for tensor in quantize.packed(model))
    packed += sum(packing.packed_bytes(module) for module in model.modules())
    return sum(int(_here(parameter).nbytes) for parameter in model.parameters()) + scales + packed


def _here(parameter: Any) -> Any:
    """The part of a DTensor that this process holds; anything else is here as a whole."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter


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
