"""A tool's own figures by llamatop's names: what it left out is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec


def spread(told: Mapping[str, float | None]) -> dict[str, float]:
    """Those that are numbers."""
    return {
        name: float(value)
        for name, value in told.items()
        if value is not None and math.isfinite(value)
    }


class Percentiles(msgspec.Struct, frozen=True):
    """A distribution as AIPerf, inference-perf and genai-bench spell it."""

    avg: float | None = None
    mean: float | None = None
    median: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    unit: str = ""

    def named(self, name: str, scale: float = 1.0) -> dict[str, float | None]:
        """Each part as `NAME.p50`, times `scale`."""
        parts = {
            "mean": self.avg if self.mean is None else self.mean,
            "p50": self.median if self.p50 is None else self.p50,
            "p90": self.p90,
            "p99": self.p99,
        }
        return {
            f"{name}.{part}": None if value is None else value * scale
            for part, value in parts.items()
        }
