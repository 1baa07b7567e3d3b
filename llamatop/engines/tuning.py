"""What is quickest here is measured on the model's own matrices, once, and then done.

A stage of loading: on a CPU plain and packed matrices (see `packing`) are timed by turns at the
concurrencies asked for, and the machine's roofs where they are not known. What was measured before
is not measured again. Knows no requests and no engine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import torch
from torch.nn.functional import linear

from llamatop.engines import bench, layout, packing
from llamatop.engines.base import Progress
from llamatop.engines.layout import Choice, Matrix, Timings, Took
from llamatop.engines.loading import Loaded
from llamatop.engines.random_weights import weight_bytes
from llamatop.events.kinds import EngineTuned, Event, MachineMeasured
from llamatop.hardware.measured import Measure
from llamatop.hardware.roofs import cached_machine, keep_machine
from llamatop.settings.config import RunConfig

LEAST_SECONDS, MOST_SECONDS = 0.4, 5.0
"""That measuring may take of any load, and of none more."""
SHARE = 0.03
"""Of a long one."""
ROOF_SECONDS, ROOF_BYTES = 0.05, 256 * 2**20
"""For each kernel of the roofs, and what it goes through: for a moment it is beside the model."""
UNDISTURBED = 0.8
"""Of its cores' time that a measurement must have had to be kept."""
SAMPLE_BYTES = 32 * 2**20
"""Of the matrices of a shape that are timed: layers in turn, or a part of one."""


class Outside(NamedTuple):
    """What tuning needs of those around it."""

    progress: Progress
    tell: Callable[[Event], None]
    quiet: Callable[[], None]
    """Returns when nothing else computes."""
    since: float
    """When loading began (`perf_counter`)."""


def tune(config: RunConfig, loaded: Loaded, outside: Outside) -> None:
    """Lay the matrices of `loaded` out as is quickest, and tell it."""
    if not _applies(config, loaded):
        return
    begun = time.perf_counter()
    budget = min(max(LEAST_SECONDS, SHARE * (begun - outside.since)), MOST_SECONDS)
    linears = packing.packable(loaded.model)
    dtype = loaded.facts.dtype
    timings = layout.read(dtype)
    missing = [
        one
        for one in layout.wanted({_shape(part) for part in linears.values()}, config)
        if layout.key(*one) not in timings.took
    ]
    limited = config.memory is not None or config.until_oom
    if missing or (cached_machine("cpu", dtype) is None and not limited):
        outside.progress("tuning", 0, None)
        outside.quiet()
        begun, worked = time.perf_counter(), time.process_time()
        if not limited:  # what it takes for a moment would count
            _roofs(dtype, outside.tell)
        _measure(linears.values(), missing, timings, budget)
        if _had_all(begun, worked):
            layout.write(dtype, timings)
    measured = time.perf_counter() - begun
    del linears  # each is freed as it is packed
    _lay_out(config, loaded, timings, measured, outside)


def _had_all(begun: float, worked: float) -> bool:
    """Whether this process had its cores to itself since then: else what was measured holds for
    this run, but no longer."""
    could = (time.perf_counter() - begun) * torch.get_num_threads()
    return bool(time.process_time() - worked > UNDISTURBED * could)


def _applies(config: RunConfig, loaded: Loaded) -> bool:
    """Whether there is anything to choose."""
    plain = config.quantize == "none" and config.offload == "none" and config.tp == 1
    here = loaded.device.type == "cpu" and loaded.facts.dtype in layout.DTYPES
    return bool(config.tuning and plain and here and not loaded.facts.quantization
                and packing.available())  # fmt: skip


def _lay_out(
    config: RunConfig,
    loaded: Loaded,
    timings: Timings,
    measured: float,
    outside: Outside,
) -> None:
    """Pack what is to be, and say so."""
    shapes = {name: _shape(part) for name, part in packing.packable(loaded.model).items()}
    item = 4 if loaded.facts.dtype == "float32" else 2
    chosen = layout.choose(Counter(shapes.values()), timings, config, item)
    chosen = chosen or Choice(frozenset(), (), "there was no time to measure")
    names = [name for name, shape in shapes.items() if shape in chosen.packed]
    total = sum(shapes[name].rows * shapes[name].columns for name in names) * item
    begun = time.perf_counter()
    plain = packing.pack_layers(
        loaded.model, names, lambda done: outside.progress("packing", done, total)
    )  # fmt: skip
    packed = len(names) - len(plain)
    loaded.facts = msgspec.structs.replace(
        loaded.facts, layout="packed" if packed else "", weights_bytes=weight_bytes(loaded.model)
    )
    reason = chosen.reason
    if plain:
        reason = f"{len(plain)} layers stay plain, such as {plain[0]}"
    outside.tell(
        EngineTuned(
            time=0,
            layout="packed" if packed else "plain",
            packed=packed,
            layers=len(shapes),
            gains=chosen.gains if packed else (),
            measuring_seconds=measured,
            packing_seconds=time.perf_counter() - begun if names else 0.0,
            reason=reason,
        )
    )


def _shape(part: Any) -> Matrix:
    return Matrix(*part.weight.shape)


def _roofs(dtype: str, tell: Callable[[Event], None]) -> None:
    """Measure the machine's roofs where nobody has."""
    if cached_machine("cpu", dtype) is not None:
        return
    found = keep_machine(
        "cpu", dtype, bench.measure(Measure("cpu", dtype), ROOF_SECONDS, ROOF_BYTES)
    )
    tell(MachineMeasured(0, found.device, found.dtype, found.bandwidth, found.arithmetic))


def _measure(
    parts: Iterable[Any], missing: list[tuple[Matrix, int]], timings: Timings, budget: float
) -> None:
    """Time what is missing, as long as there is time, in both layouts by turns."""
    end = time.perf_counter() + budget
    samples: dict[Matrix, _Sample] = {}
    alike: dict[Matrix, list[Any]] = {}
    for part in parts:
        alike.setdefault(_shape(part), []).append(part)
    with torch.inference_mode():
        for place, (matrix, tokens) in enumerate(missing):
            now = time.perf_counter()
            if now > end:
                return
            if matrix not in samples:
                samples[matrix] = _Sample(alike[matrix], timings)
            share = (end - now) / (len(missing) - place)
            timings.took[layout.key(matrix, tokens)] = samples[matrix].time(tokens, share)


class _Sample:
    """Some matrices of one shape, in both layouts."""

    def __init__(self, parts: list[Any], timings: Timings) -> None:
        whole = parts[0].weight
        rows = max(SAMPLE_BYTES // (whole.nbytes // len(whole)), 16)
        self._part = min(rows / len(whole), 1.0)
        count = max(SAMPLE_BYTES // whole.nbytes, 1)
        self._plain = [part.weight.detach()[:rows] for part in parts[:count]]
        begun = time.perf_counter()
        self._packed = [packing.pack(weight) for weight in self._plain]
        took = time.perf_counter() - begun
        rate = sum(weight.nbytes for weight in self._plain) / took
        timings.pack_bytes_s = max(rate, timings.pack_bytes_s)

    def time(self, tokens: int, seconds: float) -> Took:
        """Of one product with a whole matrix; the best of as many turns as there is time for."""
        few = len(self._plain) if tokens < layout.PREFILL_ROWS else 1
        inputs = self._plain[0].new_zeros((tokens, self._plain[0].shape[1]))
        end = time.perf_counter() + seconds
        plain = packed = float("inf")
        turns = 0
        while turns < 2 or time.perf_counter() < end:
            plain = min(plain, _timed(linear, inputs, self._plain[:few]))
            packed = min(packed, _timed(packing.multiply, inputs, self._packed[:few]))
            turns += 1
        return Took(plain / few / self._part, packed / few / self._part)


def _timed(
    product: Callable[..., torch.Tensor], inputs: torch.Tensor, weights: list[torch.Tensor]
) -> float:
    begun = time.perf_counter()
    for weight in weights:
        product(inputs, weight)
    return time.perf_counter() - begun
