"""The measuring process: this machine's roofs, asked for by a parent that imports no torch."""

from __future__ import annotations

from llamatop.engines.bench import measure
from llamatop.hardware.measured import Measure
from llamatop.predict.orphan import reply


def main() -> None:
    """Answer what stdin asks."""
    reply(Measure, measure)
