"""Whether a model's matrices are packed: chosen by what it took on this machine in both layouts.

Timings are kept in the cache folder beside the roofs, by the matrices that a model has, and hold
for one processor, number of cores, dtype and version of torch. Knows no torch, so that `check`
chooses as the engine does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from math import inf
from typing import NamedTuple

import msgspec

from llamatop.hardware.kept import cache_folder, keep
from llamatop.hardware.roofs import machine_of
from llamatop.settings.config import RunConfig

DTYPES = ("float32", "bfloat16")
"""In which packed matrices are multiplied."""
PREFILL_TOKENS = 128
"""Of the prompt that is timed; a longer one takes as much longer."""
MOST_REQUESTS = 64
"""More requests than this are taken to need as much longer."""
WORTH = 1.03
"""A layout that is not quicker by so much is not worth another one."""


class Matrix(NamedTuple):
    """The shape of a linear layer's weight: outputs and inputs."""

    rows: int
    columns: int


class Took(NamedTuple):
    """Seconds of the whole model with its matrices plain, and packed."""

    plain: float
    packed: float


class Timings(msgspec.Struct):
    """What was measured on this machine in one dtype."""

    took: dict[str, Took] = {}
    """By `key`."""
    pack_bytes_s: float = 0.0
    """Bytes of matrices that are packed in a second; 0: never seen."""


class Choice(NamedTuple):
    """Whether the matrices are to be packed."""

    packed: bool
    gains: tuple[tuple[int, float], ...] = ()
    """By requests at once: how much quicker a decode step then is."""
    reason: str = ""
    """Why nothing is packed."""


def key(matrices: Mapping[Matrix, int], requests: int | None) -> str:
    """Of one step with so many requests, or of a prompt of `PREFILL_TOKENS` (None), through a model
    with so many matrices of each shape."""
    told = ",".join(f"{count}x{m.rows}x{m.columns}" for m, count in sorted(matrices.items()))
    name = hashlib.sha256(told.encode()).hexdigest()[:12]
    return f"{name} prefill" if requests is None else f"{name} decode {requests}"


def read(dtype: str) -> Timings:
    """What was measured before; empty where nothing was."""
    try:
        found = (cache_folder() / _file(dtype)).read_bytes()
        return msgspec.json.decode(found, type=Timings)
    except (OSError, ValueError):
        return Timings()


def write(dtype: str, timings: Timings) -> None:
    """Keep it; a folder that cannot be written loses it."""
    keep(cache_folder() / _file(dtype), msgspec.json.encode(timings))


def _file(dtype: str) -> str:
    return f"tuning-{machine_of('cpu', dtype)}.json"


def at_once(config: RunConfig) -> dict[int, int]:
    """Of each level: requests that share a decode step, at most `MOST_REQUESTS`."""
    alone = config.engine == "threads"
    return {n: 1 if alone else min(n, MOST_REQUESTS) for n in config.concurrency}


def missing(
    matrices: Mapping[Matrix, int], timings: Timings, config: RunConfig
) -> list[int | None]:
    """What must be timed to choose: steps by their requests, None for the prompt."""
    steps: list[int | None] = [*sorted({*at_once(config).values()}), None]
    return [n for n in steps if key(matrices, n) not in timings.took]


def choose(
    matrices: Mapping[Matrix, int], timings: Timings, config: RunConfig, item: int
) -> Choice | None:
    """Whether a model with so many matrices of each shape is packed; None: it is not known.

    `item`: bytes of a weight. Where the run ahead gains less than packing takes, it is not.
    """
    took = timings.took
    steps = {n: took.get(key(matrices, each)) for n, each in at_once(config).items()}
    known = {level: step for level, step in steps.items() if step is not None}
    prefill = took.get(key(matrices, None))
    if prefill is None or len(known) < len(steps):
        return None
    plain, packed = (
        sum(_seconds(level, step[n], prefill[n], config) for level, step in known.items())
        for n in (0, 1)
    )
    if plain <= packed * WORTH:
        return Choice(False, reason="plain matrices are as quick here")
    cost = sum(count * m.rows * m.columns for m, count in matrices.items()) * item
    if plain - packed < cost / (timings.pack_bytes_s or inf):
        return Choice(False, reason="the run is too short to make up for packing")
    return Choice(True, tuple((level, step.plain / step.packed) for level, step in known.items()))


def _seconds(level: int, step: float, prefill: float, config: RunConfig) -> float:
    """Of all requests of a level; a year's and more where nothing but a person ends it."""
    waves = (config.requests_at(level) or 1e9) / level
    decode = step * (level / at_once(config)[level]) * (config.gen_toks - 1)
    return waves * (decode + prefill * level * config.prompt_toks / PREFILL_TOKENS)
