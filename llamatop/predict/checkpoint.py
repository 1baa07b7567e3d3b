"""What a checkpoint says of its quantisation: which matrices are stored otherwise, and how.

Experts that transformers stacks in one parameter count matrix by matrix, as they are stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec
from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.quantizers_utils import should_convert_module

from llamatop.engines import quantize
from llamatop.engines.quantization import Quantization
from llamatop.predict import formats
from llamatop.predict.formats import Settings, Size
from llamatop.predict.stacks import stacks
from llamatop.predict.stored import Stored, UnknownFormatError

_PLAIN: dict[str, formats.Format] = {
    "gptq": formats.gptq,
    "awq": formats.awq,
    "bitsandbytes": formats.bitsandbytes,
    "fp8": formats.fp8,
    "mxfp4": formats.mxfp4,
    "mlx": formats.mlx,
}
"""Formats that treat all their matrices alike, by method."""
_HALF_SCALES = ("qwen",)
"""Model types whose publisher stores the scales of fp8's blocks in bfloat16, others in float32:
nothing in a `config.json` tells of it."""
_KEPT = ("modules_to_not_convert", "llm_int8_skip_modules", "ignored_layers")
_EXCLUDED = ("exclude_modules", "ignore")
"""ModelOpt's names for the same, with wildcards."""
_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.", "")
"""What may stand before the name of a part of the language model, here or in a checkpoint."""


class Matrix(NamedTuple):
    """Matrices alike in one parameter: one, or those of stacked experts."""

    name: str
    parameter: Any
    shape: tuple[int, int]
    """Outputs, inputs."""
    copies: int = 1


def read(found: Quantization, model: nn.Module, device: str) -> Stored:
    """How that checkpoint stores the model; UnknownFormatError for a method that is none
    of those here."""
    sizes: dict[int, tuple[int, int]] = {}
    if model.config.model_type.startswith(_HALF_SCALES):
        settings = {**found.settings, "scale_bytes": 2}
        found = msgspec.structs.replace(found, settings=settings)
    for matrix in _matrices(found, model):
        size = _size(found, matrix, device)
        if size is not None:
            sizes[id(matrix.parameter)] = (
                size.weights * matrix.copies,
                size.scales * matrix.copies,
            )
    return Stored(found.method, sizes)


def _size(found: Quantization, matrix: Matrix, device: str) -> Size | None:
    """Of one matrix; None: it stays as it is."""
    shape, settings = matrix.shape, found.settings
    match found.method:
        case "bitsandbytes" if settings.get("load_in_4bit") and quantize.packs(device):
            return Size(*quantize.quantized_bytes(*shape, "int4", device, matrix.parameter.dtype))
        case "modelopt":
            return _modelopt(matrix.name, shape, settings)
        case "compressed-tensors":
            group = _group_of(matrix.name, settings)
            return None if group is None else formats.compressed(shape, group)
        case "torchao":
            kind = settings.get("quant_type") or {}
            size = formats.torchao(shape, kind.get("default") or {})
            if size is None:
                raise _unknown(f"torchao's {kind!r}"[:80])
            return size
        case "mlx":
            own = _own(matrix.name, settings)
            return None if own is False else formats.mlx(shape, own if own else settings)
        case method if method in _PLAIN:
            return _PLAIN[method](shape, settings)
        case method:
            raise _unknown(repr(method) if method else "a method that its config does not name")


def _unknown(what: str) -> UnknownFormatError:
    return UnknownFormatError(f"its weights are quantised by {what}, whose size is not known here")


def _modelopt(name: str, shape: tuple[int, int], settings: Settings) -> Size | None:
    """A byte a weight in FP8, and one scale a matrix, which is not counted."""
    if _excluded(name, settings):
        return None
    algorithm = str(settings.get("quant_algo") or "")
    if algorithm.upper() != "FP8":
        raise _unknown(f"ModelOpt's {algorithm or 'method, which is not named'}")
    return Size(shape[0] * shape[1], 0)


def _excluded(name: str, settings: Settings) -> bool:
    patterns = [str(one) for key in _EXCLUDED for one in settings.get(key) or ()]
    names = aliases(name)
    return any(_under(one, pattern) for pattern in patterns for one in names)


def _under(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def aliases(name: str) -> list[str]:
    """A module's name as wrappers of several versions would have it."""
    bare = next(name.removeprefix(one) for one in _PREFIXES if name.startswith(one))
    return [name, *(f"{one}{bare}" for one in _PREFIXES), f"backbone.{bare}"]


def _own(name: str, settings: Settings) -> Any:
    """What MLX's settings say of that module alone; None: nothing, False: it is not quantised."""
    names = {re.sub(r"\.experts\.0\.", ".switch_mlp.", one) for one in aliases(name)}
    return next((settings[one] for one in names if one in settings), None)


def _matrices(found: Quantization, model: Any) -> Iterator[Matrix]:
    """What is quantised."""
    kept = [str(name) for key in _KEPT for name in found.settings.get(key) or ()]
    takes = _takes(found, model)
    for matrix in _all(model, embeddings=found.method == "mlx"):
        names = aliases(matrix.name)
        if takes(matrix) and all(_converted(name, kept, found.method) for name in names):
            yield matrix


def _takes(found: Quantization, model: Any) -> Callable[[Matrix], bool]:
    """Whether a matrix is of a part that the method quantises at all."""
    head = model.get_output_embeddings()
    whole = found.method == "mlx" or bool(found.settings.get("lm_head"))
    passed = set() if whole or head is None else {id(head.weight)}
    if found.language_only:
        inside = {id(p) for p in (*model.get_decoder().parameters(), *_parameters(head))}
        passed |= {id(p) for p in model.parameters()} - inside
    if found.method == "mxfp4":  # experts alone
        return lambda matrix: matrix.copies > 1 and id(matrix.parameter) not in passed
    return lambda matrix: id(matrix.parameter) not in passed


def _parameters(module: nn.Module | None) -> list[Any]:
    return [] if module is None else list(module.parameters())


def _all(model: Any, *, embeddings: bool) -> Iterator[Matrix]:
    """Every matrix of a linear module or an expert; with `embeddings` also tables."""
    for name, part in model.named_modules():
        if type(part) is nn.Linear or isinstance(part, Conv1D):
            yield Matrix(name, part.weight, quantize.shape_of(part))
        elif embeddings and isinstance(part, nn.Embedding):
            rows, columns = map(int, part.weight.shape)
            yield Matrix(name, part.weight, (rows, columns))
    text = model.config.get_text_config(decoder=True)
    for one in stacks(model, int(getattr(text, "hidden_size", 0) or 0)):
        yield Matrix(one.name, one.parameter, (one.rows, one.columns), one.copies)


def _converted(name: str, kept: list[str], method: str) -> bool:
    if method == "gptq":  # only what is inside a decoder layer
        return re.search(r"(layers|h|blocks)\.\d+\.", name) is not None
    return bool(should_convert_module(name, kept))


def _group_of(name: str, settings: Settings) -> Settings | None:
    """The `weights` of the group of compressed-tensors that a linear module is in."""
    names = aliases(name)
    if any(_named(one, str(pattern)) for pattern in settings.get("ignore") or () for one in names):
        return None
    for group in (settings.get("config_groups") or {}).values():
        targets = [str(target) for target in group.get("targets") or ()]
        if any(_named(one, target) for target in targets for one in names):
            weights = group.get("weights")
            return dict(weights) if weights else None
    return None


def _named(name: str, pattern: str) -> bool:
    """As compressed-tensors matches: a class, a name, or `re:` and an expression."""
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    return pattern in ("Linear", name) or name.startswith(f"{pattern}.")
