"""Whether a folder's weights are safetensors and whole, judged without reading them.

Only headers and sizes are looked at; a pickle is never opened, since that can run code.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec

INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_HEADER = struct.Struct("<Q")


class WeightsError(Exception):
    """Why the weights of a folder cannot be used, as the end of a sentence."""


def check(folder: Path) -> list[Path]:
    """The safetensors files of a model's folder; WeightsError unless each is there and whole."""
    files = [folder / name for name in _names(folder)]
    for file in files:
        if reason := _damage(file):
            raise WeightsError(f"{file} {reason}")
    return files


def tensors(folder: Path) -> set[str]:
    """Names of the tensors of a model's folder, of which `check` has said that it is whole."""
    return {name for file in check(folder) for name in _header(file)[1] if name != "__metadata__"}


def _names(folder: Path) -> list[str]:
    index = folder / INDEX
    if index.is_file():
        try:
            return sorted(set(msgspec.json.decode(index.read_bytes())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise WeightsError(f"{index} is damaged") from None
    if (folder / _SINGLE).is_file():
        return [_SINGLE]
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt*")):
        raise WeightsError(
            f"{folder} has pickled weights only, which can run code when they are read"
        )
    raise WeightsError(f"{folder} has no {_SINGLE}")


def _damage(path: Path) -> str:
    """What is wrong with a safetensors file; or nothing."""
    try:
        return "" if _whole_size(path) == path.stat().st_size else "is cut short"
    except FileNotFoundError:
        return "is missing"
    except EOFError:
        return "is empty or cut short"
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return "is damaged"


def _whole_size(path: Path) -> int:
    """Bytes that the file should have: 8 of length, the header, and the tensors that it lists."""
    length, header = _header(path)
    header.pop("__metadata__", None)
    ends = [tensor["data_offsets"][1] for tensor in header.values()]
    return int(_HEADER.size + length + max(ends, default=0))


def _header(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Its length in bytes, and each tensor's place and shape."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise EOFError
        (length,) = _HEADER.unpack(head)
        if length > path.stat().st_size - _HEADER.size:
            raise EOFError
        return length, msgspec.json.decode(file.read(length), type=dict[str, dict[str, Any]])
