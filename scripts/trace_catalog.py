"""Traces every built-in architecture and the demo on a grid: the start screen's coefficients.

    python scripts/trace_catalog.py [MODEL ...]

Writes llamatop/catalog/coefficients/*.json. The same versions of torch and transformers give the
same files; `tests/predict/test_shipped.py` traces anew and compares.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import msgspec

from llamatop.catalog import coefficients_file, demo_folder, find, known_models
from llamatop.predict.passes import HEAP_BELOW, Tracer
from llamatop.predict.shipped import (
    BATCHES,
    SMALL_BELOW,
    STEPS_BEHIND,
    Coefficients,
    Grid,
    grid_tokens,
    small_caches,
)
from llamatop.predict.traced import STEPS, Ask, Shape, Trace
from llamatop.predict.tracer import trace_with

DTYPES = ("bfloat16", "float32")


def main() -> None:
    """Trace those named, or all."""
    assert HEAP_BELOW == SMALL_BELOW
    for model in sys.argv[1:] or ["demo", *(known.id for known in known_models())]:
        found = coefficients(model)
        path = coefficients_file(model)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=0) + b"\n")
        print(model, len(path.read_bytes()), flush=True)


def coefficients(model: str) -> tuple[Coefficients, ...]:
    """Of one model in both widths; on an accelerator too where experts are gathered there."""
    found = []
    for dtype in DTYPES:
        found.append(traced(model, dtype, "cpu"))
        if found[-1].trace.expert_bytes:
            found.append(traced(model, dtype, "cuda"))
    return tuple(found)


def traced(model: str, dtype: str, device: str) -> Coefficients:
    """In one dtype on one kind of device."""
    known = find(model)
    if known is not None:
        raw = known.architecture()
    else:
        raw = msgspec.json.decode((demo_folder() / "config.json").read_bytes())
    trace, tracer = trace_with(Ask(model, raw, None, dtype, device, STEPS))
    prefill, decode = grids(tracer, trace, grid_tokens(trace.context))
    return Coefficients(device, trace, prefill, decode)


def grids(tracer: Tracer, trace: Trace, tokens: tuple[int, ...]) -> tuple[Grid, Grid]:
    """The peaks of both phases at every place of the grid."""
    rows: list[list[list[tuple[int, int, int]]]] = [[], []]
    for batch in BATCHES:
        for row in rows:
            row.append([])
        for context in tokens:
            shape = Shape(batch, context - STEPS_BEHIND, STEPS_BEHIND + 1)
            phases = (tracer.phases(Shape(batch, context, 1))[0], tracer.phases(shape)[1])
            kept = (context, context - 1)  # a step begins with the caches of the one before
            for row, (whole, small), tokens_kept in zip(rows, phases, kept, strict=True):
                rest = small.peak - small_caches(trace.kinds, batch, tokens_kept)
                row[-1].append((whole.peak - whole.cache, whole.cache, max(rest, 0)))
    prefill, decode = (
        Grid(tokens, *(tuple(tuple(p[i] for p in row) for row in phase) for i in range(3)))
        for phase in rows
    )
    return prefill, decode


if __name__ == "__main__":
    main()
