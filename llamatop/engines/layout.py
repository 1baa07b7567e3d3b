"""Which matrices of a model are packed: chosen by how long both layouts took on this machine.

Timings are kept in the cache folder beside the roofs, by shape, and hold for one processor, number
of cores, dtype and version of torch. Knows no torch, so that `check` chooses as the engine does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple

import msgspec

from llamatop.hardware.kept import cache_folder, keep
from llamatop.hardware.roofs import machine_of
from llamatop.settings.config import RunConfig

DTYPES = ("float32", "bfloat16")
"""In which packed matrices are multiplied."""
PREFILL_ROWS = 128
"""Tokens of a prompt are timed so many at once; of more, a product takes as much longer."""
MOST_ROWS = 64
"""More requests than this are taken to need as much longer."""
WORTH = 1.03
"""A layout that is not quicker by so much is not worth another one."""


class Matrix(NamedTuple):
    """The shape of a linear layer's weight: outputs and inputs."""

    rows: int
    columns: int


class Took(NamedTuple):
    """Seconds of one product with the matrix plain, and with it packed."""

    plain: float
    packed: float


class Timings(msgspec.Struct):
    """What was measured on this machine in one dtype."""

    took: dict[str, Took] = {}
    """By `key`."""
    pack_bytes_s: float = 0.0
    """Bytes of matrices that are packed in a second; 0: never seen."""


class Choice(NamedTuple):
    """What is to be packed."""

    packed: frozenset[Matrix]
    gains: tuple[tuple[int, float], ...]
    """By requests at once: how much quicker the linear layers then decode, all in all."""
    reason: str = ""
    """Why nothing is packed."""


def key(matrix: Matrix, tokens: int) -> str:
    """Of a product of the matrix with so many tokens at once."""
    return f"{matrix.rows}x{matrix.columns}@{tokens}"


def read(dtype: str) -> Timings:
    """What was measured before; empty where nothing was."""
    try:
        found = (cache_folder() / _name(dtype)).read_bytes()
        return msgspec.json.decode(found, type=Timings)
    except (OSError, ValueError):
        return Timings()


def write(dtype: str, timings: Timings) -> None:
    """Keep it; a folder that cannot be written loses it."""
    keep(cache_folder() / _name(dtype), msgspec.json.encode(timings))


def _name(dtype: str) -> str:
    return f"tuning-{machine_of('cpu', dtype)}.json"


def at_once(config: RunConfig) -> dict[int, int]:
    """Of each level: tokens that a decode step multiplies a matrix with, at most `MOST_ROWS`."""
    alone = config.engine == "threads"
    return {n: 1 if alone else min(n, MOST_ROWS) for n in config.concurrency}


def wanted(matrices: Collection[Matrix], config: RunConfig) -> list[tuple[Matrix, int]]:
    """Which products must have been timed to choose."""
    tokens = sorted({*at_once(config).values(), PREFILL_ROWS})
    return [(matrix, n) for n in tokens for matrix in sorted(matrices)]


def choose(
    matrices: Mapping[Matrix, int], timings: Timings, config: RunConfig, item: int
) -> Choice | None:
    """What is packed, given how many matrices there are of each shape; None: it is not known.

    `item`: bytes of a weight. Where the run ahead gains less than packing takes, nothing is.
    """
    took = timings.took
    if any(key(*one) not in took for one in wanted(matrices, config)):
        return None
    saved, packed = 0.0, set()
    for matrix, count in matrices.items():
        plain, quick = (_seconds(matrix, took, config, layout) for layout in (0, 1))
        if plain > quick * WORTH:
            packed.add(matrix)
            saved += count * (plain - quick)
    if not packed:
        return Choice(frozenset(), (), "plain matrices are as quick here")
    cost = sum(matrices[m] * m.rows * m.columns for m in packed) * item
    if saved < cost / (timings.pack_bytes_s or inf):
        return Choice(frozenset(), (), "the run is too short to make up for packing")
    return Choice(frozenset(packed), tuple(_gains(matrices, packed, took, config)))


def _seconds(matrix: Matrix, took: Mapping[str, Took], config: RunConfig, layout: int) -> float:
    """That one matrix takes of the whole run; infinite where nothing but a person ends it."""
    total = 0.0
    for level, tokens in at_once(config).items():
        waves = (config.requests_at(level) or 1e9) / level
        scale = level / tokens
        decode = took[key(matrix, tokens)][layout] * scale * (config.gen_toks - 1)
        chunks = level * config.prompt_toks / PREFILL_ROWS
        total += waves * (decode + chunks * took[key(matrix, PREFILL_ROWS)][layout])
    return total


def _gains(
    matrices: Mapping[Matrix, int],
    packed: Collection[Matrix],
    took: Mapping[str, Took],
    config: RunConfig,
) -> list[tuple[int, float]]:
    found = []
    for level, tokens in at_once(config).items():
        pairs = [(count, m in packed, took[key(m, tokens)]) for m, count in matrices.items()]
        plain = sum(count * each.plain for count, _, each in pairs)
        now = sum(count * (each.packed if into else each.plain) for count, into, each in pairs)
        found.append((level, plain / now))
    return found
