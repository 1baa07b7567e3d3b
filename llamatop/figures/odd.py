"""Which replica differs from the others, and in what. Pure; knows no server by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from llamatop.figures.serving import Load
from llamatop.text.formatting import duration, number, percent

K = TypeVar("K")

TIMES = 2.0
"""One that differs has so many times the median of the others, or so small a part of it."""


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    value: Callable[[Load], float | None]
    apart: float
    """And by so much at least."""
    shown: Callable[[float | None], str]


def _latency(name: str) -> Callable[[Load], float | None]:
    def value(load: Load) -> float | None:
        found = load.latencies.get(name, {}).get("p50")
        return found.value if found is not None else None

    return value


_MEASURES = (
    _Measure("waiting", lambda load: load.waiting, 4, number),
    _Measure("TTFT p50", _latency("ttft_s"), 0.05, duration),
    _Measure("ITL p50", _latency("itl_s"), 0.005, duration),
    _Measure("KV", lambda load: load.kv_usage, 0.25, percent),
    _Measure("running", lambda load: load.running, 4, number),
)


def odd_one(loads: Mapping[K, Load]) -> tuple[K, str] | None:
    """The replica that differs most in the first measure that sets one apart, and how.

    Of two it is the one with more: waiting, slower, fuller. None where they are alike.
    """
    for measure in _MEASURES:
        known = {
            key: value for key, load in loads.items() if (value := measure.value(load)) is not None
        }
        if len(known) < 2:
            continue
        key = max(known, key=lambda one: _distance(known, one))
        rest = median(value for other, value in known.items() if other != key)
        if len(known) == 2:
            key = max(known, key=lambda one: known[one])
            rest = min(known.values())
        value = known[key]
        low, high = sorted((value, rest))
        if high - low >= measure.apart and high >= TIMES * low:
            return key, f"{measure.name} {measure.shown(value)}, others {measure.shown(rest)}"
    return None


def _distance(known: Mapping[K, float], key: K) -> float:
    return abs(known[key] - median(value for other, value in known.items() if other != key))
