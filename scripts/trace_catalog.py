"""Traces every built-in architecture and the demo: on a grid for the start screen, and as ledgers.

    python scripts/trace_catalog.py [--ledgers] [MODEL ...]

Writes llamatop/catalog/coefficients/*.json, and ledgers/*.json, also of folders that have a config.
`--ledgers`: only those. The same versions of torch and transformers give the same files;
`tests/predict/test_shipped.py` and `test_answers.py` trace anew and compare.
"""

from __future__ import annotations

import gzip
import os
import sys
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import msgspec

from llamatop.catalog import coefficients_file, demo_folder, find, known_models, ledger_folder
from llamatop.engines import config_file, quantization
from llamatop.predict import answers
from llamatop.predict.devices import DEVICES
from llamatop.predict.ledger import Ledger
from llamatop.predict.logged import Logger
from llamatop.predict.passes import HEAP_BELOW, OTHER_ROUNDING, ROUNDING, Tracer
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
from llamatop.predict.tracer import trace_as, trace_with

DTYPES = ("bfloat16", "float32")
ASKED_DTYPES = ("auto", *DTYPES)
CAPABILITIES = sorted({device.capability for device in DEVICES})


def main() -> None:
    """Trace those named, or all."""
    assert HEAP_BELOW == SMALL_BELOW
    only = "--ledgers" in sys.argv
    named = [name for name in sys.argv[1:] if name != "--ledgers"]
    for model in named or ["demo", *(known.id for known in known_models())]:
        write_ledgers(model)
        if only or coefficients_file(model) is None:
            continue
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


def write_ledgers(model: str) -> None:
    """All that is answered of one config, which may be a folder's."""
    config = Path(model) / "config.json"
    known = find(model)
    beside, sampling = {}, [{}]
    if known is not None:
        raw = known.architecture()
    elif model == "demo":
        raw = config_file.read(demo_folder() / "config.json")
        sampling.append(config_file.read(demo_folder() / "generation_config.json"))
    else:
        raw, beside = config_file.read(config), quantization.read_beside(Path(model))
    shipped = answers_of(Path(model).name if known is None else model, raw, beside, sampling)
    path = ledger_folder() / answers.file_of(raw)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(msgspec.json.encode(shipped), mtime=0))
    print(path.name, shipped.model, len(path.read_bytes()), flush=True)


def answers_of(
    model: str,
    raw: dict[str, Any],
    beside: dict[str, dict[str, Any]],
    samplings: list[dict[str, Any]],
) -> answers.Shipped:
    """To the usual questions about one config."""
    ledgers: list[Ledger] = []
    told: dict[str, answers.Answer] = {}
    made: dict[Any, int] = {}
    packed = quantization.find(raw, beside) is not None
    dtypes = ASKED_DTYPES[:1] if packed else ASKED_DTYPES
    for dtype, device, checkpoint, sampling in product(
        dtypes, ("cpu", "cuda"), (True, False), samplings
    ):
        for capability in CAPABILITIES if device == "cuda" else (None,):
            ask = Ask(
                model, raw, None, dtype, device, (), capability=capability,
                checkpoint=checkpoint, sampling=sampling, beside=beside,
            )  # fmt: skip
            if (key := answers.key_of(ask)) in told:
                continue
            trace, logger = trace_as(ask, Logger)
            kernel = "" if trace.quantization.endswith("unpacked") else trace.quantization
            way = (trace.dtype, kernel, device, str(sampling))
            if way not in made:
                ledger = logger.ledger(trace.context)
                alike = [n for n, one in enumerate(ledgers) if one.ways == ledger.ways]
                made[way] = alike[0] if alike else len(ledgers)
                ledgers += [] if alike else [ledger]
            told[key] = answers.Answer(trace, ROUNDING.get(device, OTHER_ROUNDING), made[way])
    made_by = {name: answers.public(name) for name in answers.LIBRARIES}
    return answers.Shipped(model, made_by, tuple(ledgers), told)


if __name__ == "__main__":
    main()
