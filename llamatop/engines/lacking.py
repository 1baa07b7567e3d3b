"""What a model's folder lacks, or has damaged, for a run with its trained weights.

Looks at headers, indices and the form of JSON; reads no weights, imports neither torch nor
tokenizers. What a tokenizer's tables mean is found when it is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from llamatop.engines import weight_files

TOKENIZER = "tokenizer.json"
_OTHERS = ("tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json")
"""Files of older tokenizers, one of which is enough."""


class _Model(msgspec.Struct):
    vocab: dict[str, int] | list[Any]


class _Tokenizer(msgspec.Struct):
    """The form of a `tokenizer.json`, as far as every one has it."""

    model: _Model


def lacking(folder: Path) -> list[str]:
    """Each in one line, the file named; empty: nothing."""
    return [*filter(None, (_weights(folder), _tokenizer(folder)))]


def _weights(folder: Path) -> str:
    try:
        weight_files.check(folder)
    except weight_files.WeightsError as error:
        return str(error)
    return ""


def _tokenizer(folder: Path) -> str:
    path = folder / TOKENIZER
    if not path.is_file():
        others = any((folder / name).is_file() for name in _OTHERS)
        return "" if others else f"{folder} has no {TOKENIZER}: text would be numbers of tokens"
    try:
        msgspec.json.decode(path.read_bytes(), type=_Tokenizer)
    except (OSError, ValueError, RecursionError) as error:
        return f"{path} is damaged: {error}"
    return ""
