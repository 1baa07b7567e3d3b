"""Where a checkpoint says that its weights are quantised: in its config, in a part, beside it.

Settles the name of the method, which not every producer writes. What it does to sizes is
`predict.checkpoint`'s. Reads JSON only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from llamatop.engines import config_file

Settings = dict[str, Any]

BESIDE = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
"""Files beside a config that may say it: of ModelOpt, of GPTQ, of AWQ."""
_KEYS = ("quantization_config", "compression_config")
_SENSES = ("vision", "audio", "visual", "speech")


class Quantization(msgspec.Struct, frozen=True):
    """How the weights of a checkpoint are quantised, in its producer's words."""

    method: str
    """As transformers calls it; `mlx` and `modelopt` by their producers; empty: it is not told."""
    settings: Settings
    where: str = _KEYS[0]
    """The key or file that says so."""
    language_only: bool = False
    """It stands in the part of the config that describes the language model."""

    @property
    def usual(self) -> bool:
        """Whether transformers looks for it there."""
        return self.where == _KEYS[0]


def find(architecture: dict[str, Any], beside: dict[str, Settings]) -> Quantization | None:
    """What the config says, else what the files in `beside` say, by name; None: nothing."""
    mlx = architecture.get("quantization")
    if isinstance(mlx, dict) and "bits" in mlx:
        return Quantization("mlx", mlx, "quantization")
    for where, settings, part in _in_config(architecture):
        return Quantization(_method(settings), settings, where, language_only=part)
    for name, found in beside.items():
        settings = found.get("quantization", found) if name == BESIDE[0] else found
        if isinstance(settings, dict) and settings:
            usual = {BESIDE[0]: "modelopt", BESIDE[1]: "gptq", BESIDE[2]: "awq"}[name]
            return Quantization(_method(settings) or usual, settings, name)
    return None


def read_beside(folder: Path) -> dict[str, Settings]:
    """Those files of a folder that are there and can be read."""
    found = {}
    for name in BESIDE:
        with suppress(OSError, ValueError, RecursionError):
            found[name] = config_file.read(folder / name)
    return found


def _in_config(
    raw: dict[str, Any], where: str = "", deep: int = 3
) -> Iterator[tuple[str, Settings, bool]]:
    """(place, settings, whether it is in a part) of all that a config says, outermost first."""
    for key in _KEYS:
        if isinstance(settings := raw.get(key), dict) and settings:
            yield where + key, settings, bool(where)
    for name, part in raw.items():
        language = name.endswith("_config") and not name.startswith(_SENSES)
        if language and isinstance(part, dict) and name not in _KEYS and deep:
            yield from _in_config(part, f"{where}{name}.", deep - 1)


def _method(settings: Settings) -> str:
    """The method's name, or the one whose settings these must be; empty: none is known."""
    if method := settings.get("quant_method"):
        return str(method)
    if settings.get("load_in_4bit") or settings.get("load_in_8bit"):
        return "bitsandbytes"
    signs = {
        "quant_algo": "modelopt",
        "config_groups": "compressed-tensors",
        "w_bit": "awq",
        "desc_act": "gptq",
    }
    return next((method for sign, method in signs.items() if sign in settings), "")
