"""What a run is told before it starts: the model traced, the machine's roofs, each level's peak.

Costs some seconds in child processes; a run that cannot be told goes on without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from llamatop.errors import InputError
from llamatop.events.kinds import Event, MachineMeasured, MemoryUntold, ModelTraced
from llamatop.hardware.roofs import cached_machine, roof_dtype
from llamatop.predict import memory
from llamatop.predict.checking import place_here
from llamatop.predict.forecast import shapes_of, trace_model
from llamatop.predict.machine import measure_machine
from llamatop.predict.memory import Foretold, Prediction
from llamatop.predict.traced import Shape, Trace
from llamatop.settings.config import RunConfig

DTYPES = ("float32", "bfloat16")
"""Whose arithmetic is measured."""


RANKS_UNTOLD = "what several tensor parallel ranks take, and read at once, is not modelled"


def measure_once(config: RunConfig, tell: Callable[[str], None]) -> None:
    """Measure this machine if nobody has yet, before anything else runs; 3 s for each dtype.

    `tell` is told that it takes a moment.
    """
    device = place_here(config.device).device
    missing = [dtype for dtype in DTYPES if cached_machine(device, dtype) is None]
    if missing:
        tell("measuring this machine's memory bandwidth and arithmetic, once")
    with suppress(InputError):
        for dtype in missing:
            measure_machine(device, dtype)


def prepare(config: RunConfig, now: Callable[[], int]) -> Foretold:
    """Trace the model. Reads the machine's roofs where they are known, and never measures them."""
    if config.tp > 1:
        return Foretold([MemoryUntold(now(), RANKS_UNTOLD)], lambda *_: None)
    device = place_here(config.device).device
    engine, prompt, tokens = config.engine, config.prompt_toks, config.gen_toks
    try:
        trace = trace_model(config, device, shapes_of(config, device))
    except InputError as problem:
        return Foretold([MemoryUntold(now(), str(problem))], lambda *_: None)
    events: list[Event] = []
    if trace.untold:
        events.append(MemoryUntold(now(), trace.untold))
    if trace.weights_bytes is not None:
        events.append(_traced(trace, now()))
    machine = cached_machine(device, roof_dtype(device, trace.dtype))
    if machine is not None:
        events.append(
            MachineMeasured(
                now(), machine.device, machine.dtype, machine.bandwidth, machine.arithmetic
            )
        )

    def peak(requests: int, packed: bool) -> Prediction | None:
        if config.offload != "none":
            return None  # how much of the weights is held at once is not modelled
        try:
            shape = Shape(requests, prompt, tokens)
            return memory.predict(trace, engine, device, shape, packed=packed)
        except LookupError:
            return None

    return Foretold(events, peak)


def _traced(trace: Trace, time: int) -> ModelTraced:
    return ModelTraced(
        time=time,
        parameters=trace.parameters,
        active_parameters=trace.active_parameters,
        read_bytes=trace.read_bytes,
        expert_bytes=trace.expert_bytes,
        experts=trace.experts,
        experts_per_token=trace.experts_per_token,
        attention_width=trace.attention_width,
        caches=trace.caches,
        kv_bytes_per_token=trace.kv_bytes_per_token,
    )
