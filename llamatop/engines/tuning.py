"""What is quickest here is measured on the model that was loaded, once, and then done.

A stage of loading: on a CPU plain and packed matrices (see `packing`) are timed by turns at the
concurrencies asked for, and the machine's roofs where they are not known. What was measured before
is not measured again. Knows no requests and no engine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import torch

from llamatop.engines import bench, layout, packing
from llamatop.engines.base import Progress
from llamatop.engines.layout import Choice, Matrix, Timings
from llamatop.engines.loading import Loaded
from llamatop.engines.random_weights import weight_bytes
from llamatop.engines.sample import Sample
from llamatop.events.kinds import EngineTuned, Event, MachineMeasured
from llamatop.hardware.host import taken_by_others
from llamatop.hardware.measured import Measure
from llamatop.hardware.memory import give_back
from llamatop.hardware.roofs import cached_machine, keep_machine
from llamatop.settings.config import RunConfig

LEAST_SECONDS, MOST_SECONDS = 0.5, 5.0
"""That measuring may take of any load, and of none more."""
GRACE_SECONDS = 0.5
"""That it may take longer, rather than choose nothing for the one step that it has not timed."""
SHARE = 0.03
"""Of a long one."""
ROOF_SECONDS, ROOF_BYTES = 0.05, 256 * 2**20
"""For each kernel of the roofs, and what it goes through: for a moment it is beside the model."""
DISTURBED = 0.1
"""Of the machine's cores that others had: what was measured then is not kept."""


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
    dtype = loaded.facts.dtype
    matrices = Counter(
        Matrix(*part.weight.shape) for part in packing.packable(loaded.model).values()
    )
    timings, reason = layout.read(dtype), ""
    missing = layout.missing(matrices, timings, config)
    limited = config.memory is not None or config.until_oom
    if missing or (cached_machine("cpu", dtype) is None and not limited):
        outside.progress("tuning", 0, None)
        outside.quiet()
        begun, others = time.perf_counter(), taken_by_others()
        if not limited:  # what it takes for a moment would count
            _roofs(dtype, outside.tell)
        reason = _measure(loaded, matrices, missing, timings, budget)
        give_back()
        if others() < DISTURBED:
            layout.write(dtype, timings)
    item = 4 if dtype == "float32" else 2
    chosen = layout.choose(matrices, timings, config, item)
    chosen = chosen or Choice(False, reason=reason or "there was no time to measure")
    _lay_out(loaded, chosen, time.perf_counter() - begun, outside)


def _applies(config: RunConfig, loaded: Loaded) -> bool:
    """Whether there is anything to choose."""
    plain = config.quantize == "none" and config.offload == "none" and config.tp == 1
    plain = plain and config.engine != "compiled"  # torch lays them out as it compiles
    here = loaded.device.type == "cpu" and loaded.facts.dtype in layout.DTYPES
    return bool(config.tuning and plain and here and not loaded.facts.quantization
                and packing.available())  # fmt: skip


def _lay_out(loaded: Loaded, chosen: Choice, measured: float, outside: Outside) -> None:
    """Pack what is to be, and say so."""
    sizes = {name: part.weight.nbytes for name, part in packing.packable(loaded.model).items()}
    names = list(sizes) if chosen.packed else []
    total = sum(sizes.values())
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
            layers=len(sizes),
            gains=chosen.gains if packed else (),
            measuring_seconds=measured,
            packing_seconds=time.perf_counter() - begun if names else 0.0,
            reason=reason,
        )
    )


def _roofs(dtype: str, tell: Callable[[Event], None]) -> None:
    """Measure the machine's roofs where nobody has."""
    if cached_machine("cpu", dtype) is not None:
        return
    found = keep_machine(
        "cpu", dtype, bench.measure(Measure("cpu", dtype), ROOF_SECONDS, ROOF_BYTES)
    )
    tell(MachineMeasured(0, found.device, found.dtype, found.bandwidth, found.arithmetic))


def _measure(
    loaded: Loaded,
    matrices: Counter[Matrix],
    missing: list[int | None],
    timings: Timings,
    budget: float,
) -> str:
    """Time what is missing, as long as there is time; why it could not be."""
    end = time.perf_counter() + budget
    try:
        with torch.inference_mode():
            sample = Sample(loaded) if missing else None
            for place, requests in enumerate(missing):
                now = time.perf_counter()
                if sample is None or now > end + GRACE_SECONDS:
                    break
                share = max(end - now, 0) / (len(missing) - place)
                _time(sample, matrices, requests, timings, share)
    except Exception as error:
        return f"its layers could not be timed: {error}"
    return ""


def _time(
    sample: Sample, matrices: Counter[Matrix], requests: int | None, timings: Timings, share: float
) -> None:
    timings.pack_bytes_s = max(sample.pack_bytes_s, timings.pack_bytes_s)
    took = sample.prefill(share) if requests is None else sample.decode(requests, share)
    timings.took[layout.key(matrices, requests)] = took
