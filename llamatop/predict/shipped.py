"""The peaks of the built-in architectures without the tracer: from what it said once, on a grid.

`scripts/trace_catalog.py` asks it. Between the traced numbers of requests and tokens lie straight
lines, and power laws where memory grows faster than tokens; both are convex, as peaks are, so what
is read off them is not too low. Knows neither torch nor transformers.
"""

from __future__ import annotations

from bisect import bisect
from functools import cache
from math import log
from pathlib import Path

import msgspec

from llamatop.catalog import coefficients_file, demo_folder, find
from llamatop.predict.runtime import recalled_runtime
from llamatop.predict.traced import LayerKind, Peak, Shape, Trace

BATCHES = (1, 8, 64, 512)
"""Requests of which peaks are traced."""
LEAST_TOKENS = 16
MOST_TOKENS = 262_144
STEPS_BEHIND = 3
"""Tokens of the context that are generated before the step that is traced: windows are settled."""
SMALL_BELOW = 2 * 2**20
"""As `passes.HEAP_BELOW`."""


class Grid(msgspec.Struct, frozen=True):
    """Bytes of one phase: a row for each of `BATCHES`, in it one number for each of `tokens`."""

    tokens: tuple[int, ...]
    working: tuple[tuple[int, ...], ...]
    """All but caches, at the peak."""
    cache: tuple[tuple[int, ...], ...]
    small: tuple[tuple[int, ...], ...]
    """Blocks too small to be given back at once, but for those of caches."""


class Coefficients(msgspec.Struct, frozen=True):
    """One architecture in one dtype on one kind of device."""

    device: str
    trace: Trace
    """Its peaks are those that the continuous engine asks for."""
    prefill: Grid
    decode: Grid
    """By tokens of the whole context."""

    def traced(self, shape: Shape) -> Trace:
        """The trace with the peak of that shape, for any engine."""
        shapes = {shape, shape._replace(batch=1)}
        peaks = tuple(self.peak(one) for one in sorted(shapes))
        runtime = recalled_runtime() if self.device == "cpu" else None
        every = self.trace.peaks + peaks
        return msgspec.structs.replace(self.trace, peaks=every, runtime_bytes=runtime)

    def peak(self, shape: Shape) -> Peak:
        """The peak of generating that shape, between those that were traced."""
        batch, prompt, generated = shape
        kept, more = prompt, 0
        if self.device == "cpu":  # there a prompt's caches have room for what is generated
            kept = prompt + generated - 1
            growing = (kind for kind in self.trace.kinds if kind.window is None)
            token = sum(kind.count * kind.kv_bytes_per_token for kind in growing)
            more = batch * (generated - 1) * token
        working, cached, small = self._phase(self.prefill, batch, prompt, kept)
        phases = [(working, cached + more, small)]
        if generated > 1:
            context = prompt + generated - 1
            phases.append(self._phase(self.decode, batch, context, context - 1))
        total, cache = max((working + cache, cache) for working, cache, _ in phases)
        if self.device == "cpu":  # the same room from the first on, told by the last phase
            cache = phases[-1][1]
        heap = max(small for _, _, small in phases)
        return Peak(shape, total, cache, 0, heap)

    def _phase(self, grid: Grid, batch: int, tokens: int, kept: int) -> tuple[int, int, int]:
        """Working bytes, cache, small blocks, where caches of `kept` tokens are there before."""
        between = _between(grid.tokens, tokens)
        working, cached, small = (
            _read(rows, batch, between, curved)
            for rows, curved in ((grid.working, True), (grid.cache, False), (grid.small, False))
        )
        return working, cached, small + small_caches(self.trace.kinds, batch, kept)


def small_caches(kinds: tuple[LayerKind, ...], batch: int, tokens: int) -> int:
    """Of the caches, what is in blocks that are too small to be given back at once; one block for
    keys and one for values in each layer."""
    total = 0
    for kind in kinds:
        block = batch * min(tokens, kind.window or tokens) * kind.kv_bytes_per_token // 2
        total += 2 * kind.count * block if block < SMALL_BELOW else 0
    return total


def shipped(model: str, dtype: str, device: str) -> Coefficients | None:
    """What ships of that model; None if nothing does."""
    width = "float32" if dtype == "float32" else "bfloat16"
    same = [one for one in _all_of(model) if one.trace.dtype == width]
    exact = [one for one in same if one.device == device]
    return next(iter(exact or same), None)


@cache
def _all_of(model: str) -> tuple[Coefficients, ...]:
    path: Path | None = coefficients_file(model)
    if path is None or not path.is_file():
        return ()
    return msgspec.json.decode(path.read_bytes(), type=tuple[Coefficients, ...])


@cache
def stored_dtype(model: str) -> str | None:
    """The dtype of that model's checkpoint; None if nothing ships of it."""
    if model == "demo":
        raw = msgspec.json.decode((demo_folder() / "config.json").read_bytes())
        return str(raw.get("dtype") or raw.get("torch_dtype") or "float32")
    known = find(model)
    return known.dtype if known else None


def grid_tokens(context: int | None) -> tuple[int, ...]:
    """Tokens of which peaks are traced, up to the model's context."""
    most = min(context or MOST_TOKENS, MOST_TOKENS)
    found, tokens = [], LEAST_TOKENS
    while tokens < most:
        found.append(tokens)
        tokens *= 2 if tokens < 128 else 4
    return (*found, most)


def _between(points: tuple[int, ...], x: int) -> tuple[int, int, int, int, int]:
    """Places of the two points beside x, the points, and x, which is at least the first."""
    high = min(max(bisect(points, x), 1), len(points) - 1)
    return high - 1, high, points[high - 1], points[high], max(x, 1)


def _read(
    rows: tuple[tuple[int, ...], ...],
    batch: int,
    between: tuple[int, int, int, int, int],
    curved: bool,
) -> int:
    left, right, low, high, tokens = between
    place = min(max(bisect(BATCHES, batch), 1), len(BATCHES) - 1)
    span, along = (high / low, tokens / low), _curve if curved else _line
    ends = [along(row[left], row[right], *span) for row in rows[place - 1 : place + 1]]
    share = (batch - BATCHES[place - 1]) / (BATCHES[place] - BATCHES[place - 1])
    return max(round(ends[0] + (ends[1] - ends[0]) * share), 0)


def _line(a: int, b: int, end: float, x: float) -> float:
    """At x, on the straight line through (1, a) and (end, b)."""
    return a + (b - a) * (x - 1) / (end - 1)


def _curve(a: int, b: int, end: float, x: float) -> float:
    """The same on the power law through both, where that is steeper than in proportion."""
    if a <= 0 or b / a <= end:
        return _line(a, b, end, x)
    return float(a * x ** (log(b / a) / log(end)))
