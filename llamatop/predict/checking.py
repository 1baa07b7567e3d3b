"""Will it fit, and how fast can it be: everything that `check` says of one model.

Puts together the tracer's facts, the memory at hand or asked about, and the roofs. Knows neither
options nor how the answer is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llamatop.catalog import KnownModel, find
from llamatop.errors import InputError
from llamatop.figures import roofline
from llamatop.figures.roofline import Roofs
from llamatop.hardware.host import memory as host_memory
from llamatop.predict import memory
from llamatop.predict.counting import with_longest_prompt
from llamatop.predict.devices import Published, smallest
from llamatop.predict.fit import Verdict, largest, longest, verdict
from llamatop.predict.forecast import architecture_of, trace_model
from llamatop.predict.machine import measure_machine, roof_dtype
from llamatop.predict.memory import Prediction
from llamatop.predict.residuals import band
from llamatop.predict.traced import Shape, Trace
from llamatop.settings.config import RunConfig

MANY = 256
"""A batch that is traced beside those asked for, so that all others lie on a line."""
BETWEEN = (1, 4, 16, 64, MANY)
"""Levels that are traced where it is not known which will come: others lie between them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is to run: `cpu`, `cuda` or `mps`, its memory, its roofs where known."""

    device: str
    available_bytes: int
    name: str = ""
    roofs: Roofs | None = None
    here: bool = True
    capability: tuple[int, int] | None = None
    """Compute capability of a device that is not here."""


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """One number of requests in flight. Bytes, tokens/s, seconds."""

    concurrency: int
    prediction: Prediction
    verdict: Verdict
    decode_tok_s: float | None
    prefill_s: float | None

    @property
    def fits(self) -> bool:
        """Whether it fits even if the prediction is too low by the whole error band."""
        return self.verdict == "fits"


@dataclass(frozen=True, slots=True)
class Check:
    """All that is said of one model."""

    config: RunConfig
    engine: str
    trace: Trace
    place: Place
    levels: list[LevelCheck]
    max_concurrency: int
    """The most requests at once whose verdict is `fits`; 0: not even one's is."""
    max_concurrency_at_best: int
    """The most whose verdict is `tight` or better."""
    max_context: int
    """Longest prompt and output together with which the smallest level fits; 0: none does."""
    band: float
    verdict: Verdict
    would_fit: list[str] = field(default_factory=list)
    """What to change, where not all levels fit."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What `check --json` tells besides, of some formats."""

    @property
    def may_fit(self) -> bool:
        """Whether the smallest level may fit: its verdict is `tight` or better."""
        return min(self.levels, key=lambda level: level.concurrency).verdict != "does not fit"


def place_here(device: str) -> Place:
    """This machine: its free memory on a CPU, or the first NVIDIA device's."""
    if device in ("auto", "cuda", "cuda:0"):
        from llamatop.hardware import nvidia  # noqa: PLC0415

        nvml = nvidia.open_nvml()
        devices = nvidia.sample(nvml, 0) if nvml is not None else []
        if devices and devices[0].total_bytes is not None:
            free = devices[0].total_bytes - (devices[0].used_bytes or 0)
            return Place("cuda", free, devices[0].name)
        if device != "auto":
            raise InputError(f"--device {device}: no such device here; use --device cpu")
    elif device != "cpu":
        raise InputError(f"--device {device}: use auto, cpu or cuda")
    return Place("cpu", host_memory().available)


def place_there(published: Published) -> Place:
    """A device that is not here."""
    roofs = Roofs(published.bandwidth, published.flops)
    memory, capability = published.memory_bytes, published.capability
    return Place("cuda", memory, published.name, roofs, here=False, capability=capability)


def check(config: RunConfig, place: Place) -> Check:
    """Check one model at the levels of `config`; InputError if it cannot be traced."""
    config = with_longest_prompt(config)
    levels, prompt, tokens = list(config.concurrency), config.prompt_toks, config.gen_toks
    engine = memory.resolve_engine(config.engine, place.device)
    hopeless = _is_hopeless(config, place)
    shapes = _shapes(config, engine, place.device, hopeless)
    trace = trace_model(config, place.device, shapes, place.capability)

    def peak(requests: int) -> Prediction:
        return memory.predict(trace, engine, place.device, Shape(requests, prompt, tokens))

    def most(needed: Callable[[Prediction], float]) -> int:
        return 0 if hopeless else largest(lambda n: needed(peak(n)), place.available_bytes)

    def judged(prediction: Prediction) -> Verdict:
        told = prediction.peak_bytes, place.available_bytes, width, prediction.most_bytes
        return verdict(*told)

    def sure(prediction: Prediction) -> float:
        return prediction.sure_bytes(width)

    def level(requests: int) -> LevelCheck:
        prediction, shape = peak(requests), Shape(requests, prompt, tokens)
        return _level(trace, roofs, shape, prediction, judged(prediction))

    width = band(place.device, engine, bool(trace.quantization))
    least = peak(min(levels)).peak_bytes
    roofs = _roofs(place, trace.dtype)
    found = Check(
        config=config,
        engine=engine,
        trace=trace,
        place=place,
        levels=[level(requests) for requests in levels],
        max_concurrency=most(sure),
        max_concurrency_at_best=most(lambda prediction: prediction.peak_bytes),
        max_context=0 if hopeless else _context(config, trace, engine, place, width),
        band=width,
        verdict=judged(peak(max(levels))),
    )
    if found.verdict != "fits":
        found.would_fit.extend(_advice(found, least))
    return found


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
    if config.weights != "random" and "quantization_config" in known.architecture():
        return 0.5
    dtype = known.dtype if config.dtype == "auto" else config.dtype
    return 4.0 if dtype == "float32" else 2.0


def _shapes(config: RunConfig, engine: str, device: str, few: bool) -> set[Shape]:
    """The levels asked for, others to draw lines through, and prompts up to the context."""
    prompt, tokens = config.prompt_toks, config.gen_toks
    if few:
        return memory.shapes(engine, device, list(config.concurrency), prompt, tokens)
    levels = [*config.concurrency, *(BETWEEN if engine == "threads" else (1, MANY))]
    shapes = memory.shapes(engine, device, levels, prompt, tokens)
    for long in _long_prompts(config, architecture_of(config).context):
        shapes |= memory.shapes(engine, device, [min(config.concurrency)], long, 1)
    return shapes


def _level(
    trace: Trace, roofs: Roofs | None, shape: Shape, prediction: Prediction, told: Verdict
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


def _context(config: RunConfig, trace: Trace, engine: str, place: Place, width: float) -> int:
    """Longest context of the smallest level, on lines between the prompts that were traced."""
    requests = min(config.concurrency)
    shapes = [Shape(requests, config.prompt_toks, config.gen_toks)]
    shapes += [Shape(requests, prompt, 1) for prompt in _long_prompts(config, trace.context)]
    peaks = [memory.predict(trace, engine, place.device, s).sure_bytes(width) for s in shapes]
    points = [(s.prompt + s.generated, p) for s, p in zip(shapes, peaks, strict=True)]
    return longest(points, place.available_bytes)


def _long_prompts(config: RunConfig, context: int | None) -> list[int]:
    """Prompts up to the longest that the model takes, with no output behind them."""
    asked, most = config.prompt_toks + config.gen_toks, (context or 1) - 1
    if most <= asked:
        return []
    return sorted({*(n for n in (16 * asked, 256 * asked) if n < most), most})


def _advice(found: Check, least: int) -> list[str]:
    """What would fit, in the order in which a person would try it."""
    from llamatop.text.formatting import size  # noqa: PLC0415

    advice = []
    wanted = max(found.config.concurrency)
    if 0 < found.max_concurrency < wanted:
        advice.append(f"at most {found.max_concurrency} requests at once")
    if (
        found.trace.dtype == "float32"
        and not found.trace.quantization
        and found.verdict == "does not fit"
    ):
        half = found.trace.weights_bytes / 2
        if least - half <= found.place.available_bytes:
            advice.append(f"--dtype bfloat16, which halves the weights to {size(half)}")
    needed = max(level.prediction.peak_bytes for level in found.levels) * (1 + found.band)
    advice.append(f"{size(needed)} of memory")
    if (which := smallest(needed)) is not None:
        count, device = which
        memory_of = size(device.memory_bytes)
        one = f"one {device.name} ({memory_of})"
        advice.append(one if count == 1 else f"{count} x {device.name} ({memory_of} each)")
    return advice
