"""Limits of what servers tell: `kv_usage>0.9 for 30s`. Read, and held against a load."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.figures.serving import Load
from llamatop.figures.vocabulary import HISTOGRAMS

DEFAULTS = (
    "kv_usage>0.95 for 30s",
    "waiting>0 for 60s",
    "stalled>0 for 15s",
    "differs>0 for 30s",
)
"""What is watched for where nothing else is asked."""

_SPELLED = re.compile(
    r"\s*([a-z0-9_]+)\s*([<>])=?\s*([0-9.]+)(%?)(?:\s+for\s+([0-9.]+)\s*(s|min)?)?\s*"
)


def _latency(name: str, share: str) -> Callable[[Load], float | None]:
    def value(load: Load) -> float | None:
        found = load.latencies.get(name, {}).get(share)
        return found.value if found is not None else None

    return value


def _stalled(load: Load) -> float | None:
    """1 where requests run and no token comes, of a prompt or of an answer."""
    if load.running is None or load.generation_rate is None:
        return None
    return float(load.running > 0 and load.generation_rate == 0 and not load.prompt_rate)


METRICS: dict[str, Callable[[Load], float | None]] = {
    "running": lambda load: load.running,
    "waiting": lambda load: load.waiting,
    "kv_usage": lambda load: load.kv_usage,
    "generation_tok_s": lambda load: load.generation_rate,
    "prompt_tok_s": lambda load: load.prompt_rate,
    "prefix_hit_rate": lambda load: load.prefix_hit_rate,
    "preempted": lambda load: load.preempted,
    "stalled": _stalled,
    **{
        f"{name.removesuffix('_s')}_{share}": _latency(name, share)
        for name in HISTOGRAMS
        for share in ("p50", "p90", "p99")
    },
}
"""What a limit may be of, besides `differs`: 1 for the replica that differs from the others."""

DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that must be broken for a while before it is told."""

    spelled: str
    metric: str
    above: bool
    bound: float
    hold: int
    """For so long (ns)."""

    def broken(self, value: float | None) -> bool:
        """Whether a value breaks it; one that is not known does not."""
        return value is not None and (value > self.bound if self.above else value < self.bound)


def limit(text: str) -> Limit:
    """A limit as it is spelled; InputError where that cannot be read."""
    found = _SPELLED.fullmatch(text)
    if found is None:
        raise InputError(f"--alert {text!r}: spell it as in 'kv_usage>0.9 for 30s'")
    metric, sign, value, percent, hold, unit = found.groups()
    if metric != DIFFERS and metric not in METRICS:
        names = ", ".join([*METRICS, DIFFERS])
        raise InputError(f"--alert {text!r}: {metric} is none of {names}")
    try:
        number, seconds = float(value), float(hold or 0) * (60 if unit == "min" else 1)
    except ValueError:
        raise InputError(f"--alert {text!r}: {value} or {hold} is no number") from None
    if not 0 <= seconds < inf:
        raise InputError(f"--alert {text!r}: for how long?")
    share = number / 100 if percent else number
    return Limit(" ".join(text.split()), metric, sign == ">", share, int(seconds * SECOND))
