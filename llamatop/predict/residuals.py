"""What earlier predictions were wrong by, kept on this machine: the source of the error band.

A line of JSON for each level that was predicted and measured. Nothing of a model but its size.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from llamatop.hardware.kept import cache_folder
from llamatop.predict.fit import BAND, QUANTIZED_BAND

KEPT = 200
"""The newest so many are looked at."""
ENOUGH = 8
"""From so many on they are believed."""
LEAST = 0.02
"""No band is narrower than this."""


class Residual(msgspec.Struct, frozen=True):
    """One level: where it ran, and bytes predicted and measured; what libraries take, which no
    model changes, is in both."""

    device: str
    engine: str
    predicted: int
    measured: int
    libraries: int
    quantized: bool = False
    """Its matrices were not stored in the model's dtype."""

    @property
    def error(self) -> float:
        """By how much the truth was above the prediction, as a share of what the model and its
        requests take of that; negative: below."""
        return (self.measured - self.predicted) / (self.predicted - self.libraries)


def remember(residual: Residual) -> None:
    """Keep one; a folder that cannot be written loses it."""
    with suppress(OSError):
        _path().parent.mkdir(parents=True, exist_ok=True)
        with _path().open("ab") as file:
            file.write(msgspec.json.encode(residual) + b"\n")


def band(device: str, engine: str, quantized: bool = False) -> float:
    """The share by which a prediction there may be too low: all but one in twenty were less."""
    alike = (device, engine, quantized)
    errors = sorted(r.error for r in recalled() if (r.device, r.engine, r.quantized) == alike)
    if len(errors) < ENOUGH:
        return QUANTIZED_BAND if quantized else BAND
    return max(errors[int(0.95 * (len(errors) - 1) + 0.5)], LEAST)


def recalled() -> list[Residual]:
    """The newest that were kept, oldest first; damaged lines are passed over."""
    try:
        lines = _path().read_bytes().splitlines()[-KEPT:]
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(msgspec.json.decode(line, type=Residual))
    return [residual for residual in found if residual.predicted > residual.libraries]


def _path() -> Path:
    return cache_folder() / "residuals.jsonl"
