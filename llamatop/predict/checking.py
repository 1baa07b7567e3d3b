"""Will it fit, and how fast can it be: everything that `check` says of one model.

Puts together the tracer's facts, the memory at hand or asked about, and the roofs. Knows neither
options nor how the answer is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from llamatop.catalog import KnownModel, find
from llamatop.engines.lacking import lacking
from llamatop.engines.resolve import folder_here
from llamatop.errors import InputError
from llamatop.figures import roofline
from llamatop.figures.roofline import Roofs
from llamatop.hardware.host import memory as host_memory
from llamatop.hardware.roofs import roof_dtype
from llamatop.predict import memory
from llamatop.predict.counting import with_longest_prompt
from llamatop.predict.devices import Published, smallest
from llamatop.predict.fit import Verdict, largest, verdict
from llamatop.predict.forecast import architecture_of, between_levels, shapes_of, trace_model
from llamatop.predict.layouts import packs
from llamatop.predict.machine import measure_machine
from llamatop.predict.memory import Prediction
from llamatop.predict.residuals import band
from llamatop.predict.runtime import recalled_runtime
from llamatop.predict.traced import Reach, Shape, Trace
from llamatop.settings.config import RunConfig

Told = Verdict | Literal["unknown"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is to run: `cpu`, `cuda` or `mps`, its memory, its roofs where known."""

    device: str
    available_bytes: int
    name: str = ""
    roofs: Roofs | None = None
    here: bool = True
    momentary: bool = False
    """Its memory is what is free right now."""
    capability: tuple[int, int] | None = None
    """Compute capability of a device that is not here."""


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """One number of requests in flight. Bytes, tokens/s, seconds."""

    concurrency: int
    prediction: Prediction | None
    """None: not known."""
    verdict: Told
    decode_tok_s: float | None
    prefill_s: float | None

    @property
    def fits(self) -> bool | None:
        """Whether it fits even if the prediction is too low by the whole error band; None: not
        known, also where only a part of it is foretold."""
        unknown = self.prediction is None or self.verdict == "unknown"
        return None if unknown else self.verdict == "fits"


EVERYWHERE = 8_000_000_000
"""Bytes of memory for which nobody who runs on a CPU need look at a GPU."""

NO_ROOFS = (
    "what this engine reaches on this machine is not measured; --device-name asks of a known GPU"
)


@dataclass(frozen=True, slots=True)
class Check:
    """All that is said of one model. What is None is not known; `unknown` says why."""

    config: RunConfig
    engine: str
    trace: Trace
    place: Place
    levels: list[LevelCheck]
    max_concurrency: int | None
    """The most requests at once whose verdict is `fits`; 0: not even one's is."""
    max_concurrency_at_best: int | None
    """The most whose verdict is `tight` or better."""
    max_context: int | None
    """Longest prompt and output together of one request that fit; 0: none does."""
    band: float
    verdict: Told
    would_fit: list[str] = field(default_factory=list)
    """What to change, where not all levels fit."""
    packed: bool = False
    """Whether its matrices are taken to be packed."""
    lacking: list[str] = field(default_factory=list)
    """What of a folder that is here is missing or damaged: it fits, and does not run so."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What `check --json` tells besides, of some formats."""

    @property
    def may_fit(self) -> bool:
        """Whether the smallest level may fit: its verdict is no `does not fit`."""
        return min(self.levels, key=lambda level: level.concurrency).verdict != "does not fit"

    @property
    def unknown(self) -> dict[str, str]:
        """By the name of a figure the reason why it is not known."""
        found = dict(self.trace.unknown)
        if reason := self.trace.untold:
            rest = ("peak_bytes", "max_concurrency", "max_concurrency_at_best", "max_context")
            found = {**dict.fromkeys(rest, reason), **found}
        elif all(level.prediction and level.decode_tok_s is None for level in self.levels):
            found = {**found, "decode_floor_tok_s": NO_ROOFS, "prefill_floor_s": NO_ROOFS}
        return found


def place_here(device: str) -> Place:
    """This machine: its free memory on a CPU, or the first NVIDIA device's."""
    if device in ("auto", "cuda", "cuda:0"):
        from llamatop.hardware import nvidia  # noqa: PLC0415

        nvml = nvidia.open_nvml()
        devices = nvidia.sample(nvml, 0) if nvml is not None else []
        if devices and devices[0].total_bytes is not None:
            free = devices[0].total_bytes - (devices[0].used_bytes or 0)
            return Place("cuda", free, devices[0].name, momentary=True)
        if device != "auto":
            raise InputError(f"--device {device}: no such device here; use --device cpu")
    elif device != "cpu":
        raise InputError(f"--device {device}: use auto, cpu or cuda")
    return Place("cpu", host_memory().available, momentary=True)


def place_there(published: Published) -> Place:
    """A device that is not here."""
    roofs = Roofs(published.bandwidth, published.flops)
    memory, capability = published.memory_bytes, published.capability
    return Place("cuda", memory, published.name, roofs, here=False, capability=capability)


def check(config: RunConfig, place: Place) -> Check:
    """Check one model at the levels of `config`; InputError if it cannot be traced."""
    config = with_longest_prompt(config)
    engine = memory.resolve_engine(config.engine, place.device)
    hopeless = _is_hopeless(config, place)
    known = None if hopeless else _reach(config, engine, place)
    shapes = shapes_of(config, place.device, few=hopeless)
    trace = trace_model(config, place.device, shapes, place.capability, known)
    width = band(place.device, engine, bool(trace.quantization))
    if trace.untold:
        found = _untold(config, trace, place, width)
    else:
        found = _told(config, trace, place, width, hopeless=hopeless)
    folder = None if config.weights == "random" else folder_here(config.model)
    return found if folder is None else replace(found, lacking=lacking(folder))


def _told(config: RunConfig, trace: Trace, place: Place, width: float, *, hopeless: bool) -> Check:
    engine = memory.resolve_engine(config.engine, place.device)
    prompt, tokens = config.prompt_toks, config.gen_toks
    roofs = _roofs(place, trace.dtype)

    packed = packs(trace, config, place.device)

    def peak(requests: int) -> Prediction:
        shape = Shape(requests, prompt, tokens)
        return memory.predict(trace, engine, place.device, shape, packed=packed)

    steady = between_levels(trace)

    def most(needed: Callable[[Prediction], float]) -> int:
        if hopeless:
            return 0

        def at(requests: int) -> float:
            shape = Shape(requests, prompt, tokens)
            return needed(memory.predict(steady, engine, place.device, shape))

        return largest(at, place.available_bytes)

    def judged(prediction: Prediction) -> Verdict:
        sure = prediction.sure_bytes(width)
        return verdict(prediction.peak_bytes, place.available_bytes, sure)

    def level(requests: int) -> LevelCheck:
        prediction, shape = peak(requests), Shape(requests, prompt, tokens)
        return _level(trace, roofs, shape, prediction, judged(prediction))

    found = Check(
        config=config,
        engine=engine,
        trace=trace,
        place=place,
        levels=[level(requests) for requests in config.concurrency],
        max_concurrency=most(lambda prediction: prediction.sure_bytes(width)),
        max_concurrency_at_best=most(lambda prediction: prediction.peak_bytes),
        max_context=0 if hopeless else trace.furthest,
        band=width,
        verdict=judged(peak(max(config.concurrency))),
        packed=packed,
    )
    if found.verdict != "fits":
        found.would_fit.extend(_advice(found, peak(min(config.concurrency)).peak_bytes))
    return found


def _untold(config: RunConfig, trace: Trace, place: Place, width: float) -> Check:
    """What is known of a model whose peaks are not."""
    engine = memory.resolve_engine(config.engine, place.device)
    roofs = _roofs(place, trace.dtype) if trace.weights_bytes is not None else None
    levels = [
        _level(trace, roofs, Shape(n, config.prompt_toks, config.gen_toks), None, "unknown")
        for n in config.concurrency
    ]
    return Check(config, engine, trace, place, levels, None, None, None, width, "unknown")


def _reach(config: RunConfig, engine: str, place: Place) -> Reach:
    """The memory in which the longest context is sought. What is free here changes from moment to
    moment, so of that three digits count, and what was found is found again."""
    available = place.available_bytes
    if place.momentary:
        unit = 10 ** max(len(str(available)) - 3, 0)
        available -= available % unit
    quantized = config.quantize != "none" or (
        config.weights != "random" and architecture_of(config).quantization is not None
    )
    runtime = recalled_runtime() if place.device == "cpu" and config.quantize == "none" else None
    return Reach(engine, available, band(place.device, engine, quantized), runtime)


def _is_hopeless(config: RunConfig, place: Place) -> bool:
    """The weights of a known model alone are too many: nothing else need be looked for."""
    known = find(config.model)
    return (
        known is not None
        and config.layers is None
        and known.parameters * _least_width(config, known) > place.available_bytes
    )


def _least_width(config: RunConfig, known: KnownModel) -> float:
    """Bytes that a weight takes at least: as asked for, or as the checkpoint has it.

    How much a quantised checkpoint takes depends on its format, and on whether it is unpacked
    where it runs: at least 4 bits a weight, and the tracer says the rest.
    """
    if config.quantize != "none":
        return {"int8": 1.0, "int4": 0.5}[config.quantize]
    if config.weights != "random" and known.architecture().get("quantization_config"):
        return 0.5
    dtype = known.dtype if config.dtype == "auto" else config.dtype
    return 4.0 if dtype == "float32" else 2.0


def _level(
    trace: Trace, roofs: Roofs | None, shape: Shape, prediction: Prediction | None, told: Told
) -> LevelCheck:
    requests, prompt, tokens = shape
    decode = prefill = None
    if roofs is not None:
        decode = roofline.decode_ceiling(trace, requests, prompt + tokens // 2, roofs)
        prefill = roofline.prefill_floor(trace, requests, prompt, roofs)
    return LevelCheck(requests, prediction, told, decode, prefill)


def _roofs(place: Place, dtype: str) -> Roofs | None:
    """Published, or measured here once; None where the device cannot be measured."""
    if place.roofs is not None:
        return place.roofs
    try:
        return measure_machine(place.device, roof_dtype(place.device, dtype)).roofs
    except InputError:
        return None


def _advice(found: Check, least: int) -> list[str]:
    """What would fit, in the order in which a person would try it."""
    from llamatop.text.formatting import plural, size  # noqa: PLC0415

    advice = []
    wanted = max(found.config.concurrency)
    if 0 < (found.max_concurrency or 0) < wanted:
        advice.append(f"at most {plural(found.max_concurrency or 0, 'request')} at once")
    if (
        found.trace.dtype == "float32"
        and not found.trace.quantization
        and found.verdict == "does not fit"
    ):
        half = (found.trace.weights_bytes or 0) / 2
        if least - half <= found.place.available_bytes:
            advice.append(f"--dtype bfloat16, which halves the weights to {size(half)}")
    told = [level.prediction for level in found.levels if level.prediction]
    needed = max(prediction.sure_bytes(found.band) for prediction in told)
    advice.append(f"{size(needed)} of memory")
    any_has = found.place.device == "cpu" and needed < EVERYWHERE
    if not any_has and (which := smallest(needed)) is not None:
        count, device = which
        memory_of = size(device.memory_bytes)
        one = f"one {device.name} ({memory_of})"
        advice.append(one if count == 1 else f"{count} x {device.name} ({memory_of} each)")
    return advice
