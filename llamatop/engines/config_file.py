"""Reads a `config.json` as Python's json and transformers do, which is more than JSON allows.

`Infinity`, `NaN` and numbers past a float's range come out as transformers 5 writes them,
`{"__float__": "Infinity"}`: so a config stays JSON on its way to another process. Knows no model.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

LARGEST = 64 << 20
"""Bytes of a file at most, far beyond any model's."""

TAG = "__float__"
"""The key under which transformers keeps a float that JSON has no word for."""


def read(path: Path) -> dict[str, Any]:
    """The object in a file. Raises OSError, ValueError or RecursionError."""
    if path.exists() and not path.is_file():  # of a pipe reading would never end
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not an object")
    return dict(tagged(found))


def tagged(part: Any) -> Any:
    """The same with floats that are no JSON under their tag."""
    if isinstance(part, dict):
        return {name: tagged(value) for name, value in part.items()}
    if isinstance(part, list):
        return [tagged(value) for value in part]
    if isinstance(part, float) and not math.isfinite(part):
        return {TAG: "NaN" if math.isnan(part) else "Infinity" if part > 0 else "-Infinity"}
    return part


def untagged(part: Any) -> Any:
    """The same with those floats as Python has them."""
    if isinstance(part, dict):
        if set(part) == {TAG} and isinstance(part[TAG], str | float):
            return float(part[TAG])
        return {name: untagged(value) for name, value in part.items()}
    if isinstance(part, list):
        return [untagged(value) for value in part]
    return part
