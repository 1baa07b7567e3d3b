"""Whether a model fits this machine, at once: what `check` says of it, from shipped coefficients.

Of a model that no coefficients ship of, it is an estimate from weights, KV cache and a fixed
runtime, without activations and fragmentation, and is marked as one wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from llamatop.catalog import find
from llamatop.errors import InputError
from llamatop.reports.models import GGUF, Choice
from llamatop.settings.config import RunConfig

if TYPE_CHECKING:
    from llamatop.predict.llamacpp import Server
    from llamatop.predict.memory import Prediction
    from llamatop.predict.shipped import Coefficients

Verdict = Literal["fits", "tight", "does not fit", "too short", "cannot load", "unknown"]
"""`too short`, `cannot load`: not memory is in the way, but the model's context, or its files."""

RUNTIME_BYTES = 400_000_000
"""What torch and transformers take before there is a model."""

USUAL_KV = 131_072
"""KV bytes per token where nobody knows: an 8B model's, which is much for a small one."""

BAND = 0.1
"""Share by which the estimate may be wrong; within it the verdict is `tight`."""

_GROUPED = {
    "weights": "weights",
    "kv cache": "KV cache",
    **dict.fromkeys(("runtime", "kernels", "context", "workspace"), "runtime"),
}
"""Parts of a prediction under the names that are shown; the rest is `activations`."""

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class Gpu(msgspec.Struct, frozen=True):
    """An accelerator: its name, and bytes of its memory, None where it does not tell."""

    name: str
    free: int | None
    total: int | None


class Machine(msgspec.Struct, frozen=True):
    """What this machine has for a run. Memory in bytes."""

    cpu: str
    cores: int
    available: int
    total: int
    gpus: tuple[Gpu, ...] = ()

    def kind_for(self, device: str) -> str:
        """Where a run on `device` keeps its model: `cuda` or `cpu`."""
        return "cpu" if self._gpu(device) is None else "cuda"

    def memory_for(self, device: str) -> tuple[int | None, int | None]:
        """Bytes to be had, and in all, where a run on `device` keeps its model."""
        gpu = self._gpu(device)
        return (self.available, self.total) if gpu is None else (gpu.free, gpu.total)

    def _gpu(self, device: str) -> Gpu | None:
        if not self.gpus or not (device == "auto" or device.startswith("cuda")):
            return None
        number = device.partition(":")[2] or "0"
        known = number.isdecimal() and int(number) < len(self.gpus)
        return self.gpus[int(number)] if known else None


class Fit(msgspec.Struct, frozen=True):
    """A verdict, and what it is made of. Sizes in bytes."""

    verdict: Verdict
    parts: tuple[tuple[str, int], ...] = ()
    """What takes how much."""
    available: int | None = None
    total: int | None = None
    estimated: bool = True
    """From weights and cache alone, not from the tracer."""

    @property
    def needed(self) -> int | None:
        """All parts together; None where they are not known."""
        return sum(size for _, size in self.parts) if self.parts else None


Fits = Callable[[Choice, RunConfig], Fit]
"""Says whether a choice fits; asked for each row in view, so it must take well under 1 ms."""


def estimate(machine: Machine, choice: Choice, config: RunConfig) -> Fit:
    """The default of `Fits`."""
    available, total = machine.memory_for(config.device)
    if choice.source == GGUF and choice.weights_bytes is not None:
        return _gguf(machine, choice, config)
    if why := _no_question(choice, config):
        return Fit(why, available=available, total=total)
    plain = config.layers is None and config.quantize == "none"
    if plain and (known := _coefficients(machine, choice, config)) is not None:
        quantized = _is_quantized(choice.model, config.weights)
        return _foretold(known, machine, config, quantized)
    weights = weights_bytes(choice, config.dtype)
    if config.quantize != "none":
        weights = quantized_bytes(choice, config)
    if weights is None:
        return Fit("unknown", available=available, total=total)
    parts = (
        ("weights", weights),
        ("KV cache", kv_bytes(choice, config)),
        ("runtime", RUNTIME_BYTES),
    )
    return Fit(verdict(sum(size for _, size in parts), available), parts, available, total)


def _no_question(choice: Choice, config: RunConfig) -> Verdict | None:
    """What is said of a choice whatever the memory; None: memory decides."""
    if choice.problem(config.weights):
        return "cannot load"
    if choice.context is not None and config.prompt_toks + config.gen_toks > choice.context:
        return "too short"
    return "unknown" if config.offload != "none" or config.tp > 1 else None


def _gguf(machine: Machine, choice: Choice, config: RunConfig) -> Fit:
    """What `check` says of the largest level, where llama.cpp runs it."""
    from llamatop.predict import fit  # noqa: PLC0415  (not for the first paint)

    available, total = machine.memory_for(config.device)
    if choice.context is not None and config.prompt_toks + config.gen_toks > choice.context:
        return Fit("too short", available=available, total=total)
    server = _server(choice.model, machine.kind_for(config.device))
    if server is None or server.caches.unknown or available is None:
        return Fit("unknown", available=available, total=total)
    told = server.peak(max(config.concurrency), config.prompt_toks, config.gen_toks)
    found = fit.verdict(told.peak_bytes, available, told.sure_bytes(fit.BAND))
    return Fit(found, _shown(told), available, total, estimated=False)


@cache
def _server(model: str, device: str) -> Server | None:
    """A GGUF file in llama.cpp's server; None where its settings are no model's."""
    from llamatop.catalog.gguf import GgufError, read  # noqa: PLC0415
    from llamatop.predict.llamacpp import Server  # noqa: PLC0415

    try:
        server = Server(read(Path(model)), "f16", device)
        server.peak(1, 1, 1)
    except (GgufError, InputError):
        return None
    return server


def _shown(told: Prediction) -> tuple[tuple[str, int], ...]:
    """Its parts under the names that are shown."""
    sizes = dict.fromkeys(("weights", "KV cache", "activations", "runtime"), 0)
    for name, size in told.parts.items():
        sizes[_GROUPED.get(name, "activations")] += size
    return tuple(sizes.items())


def _coefficients(machine: Machine, choice: Choice, config: RunConfig) -> Coefficients | None:
    """Those of the dtype in which it would run there."""
    from llamatop.predict.shipped import shipped, stored_dtype  # noqa: PLC0415  (not for the first paint)

    dtype, device = config.dtype, machine.kind_for(config.device)
    if dtype == "auto":
        narrow = stored_dtype(choice.model) in ("bfloat16", "float16")
        dtype = "bfloat16" if narrow else "float32"
    return shipped(choice.model, dtype, device)


def _foretold(known: Coefficients, machine: Machine, config: RunConfig, quantized: bool) -> Fit:
    """What `check` says of the largest level."""
    from llamatop.predict import fit, memory  # noqa: PLC0415  (not for the first paint)
    from llamatop.predict.traced import Shape  # noqa: PLC0415

    shape = Shape(max(config.concurrency), config.prompt_toks, config.gen_toks)
    device, engine = machine.kind_for(config.device), memory.resolve_engine(config.engine, "")
    told = memory.predict(known.traced(shape), engine, device, shape)
    available, total = machine.memory_for(config.device)
    found: Verdict = "unknown"
    if available is not None:
        sure = told.sure_bytes(_band(device, engine, quantized))
        found = fit.verdict(told.peak_bytes, available, sure)
    return Fit(found, _shown(told), available, total, estimated=False)


@cache
def _is_quantized(model: str, weights: str) -> bool:
    """Whether trained weights are a quantised checkpoint's."""
    known = find(model) if weights != "random" else None
    return known is not None and "quantization_config" in known.architecture()


@cache
def _band(device: str, engine: str, quantized: bool) -> float:
    from llamatop.predict import residuals  # noqa: PLC0415  (not for the first paint)

    return residuals.band(device, engine, quantized)


def verdict(needed: int, available: int | None) -> Verdict:
    """`tight` is what the estimate's own error does not let it decide."""
    if available is None:
        return "unknown"
    if needed * (1 + BAND) <= available:
        return "fits"
    return "tight" if needed * (1 - BAND) <= available else "does not fit"


def weights_bytes(choice: Choice, dtype: str) -> int | None:
    """Size of the weights in memory; None where it is not known."""
    if dtype in _BYTES and choice.parameters is not None:
        return choice.parameters * _BYTES[dtype]
    if choice.weights_bytes is not None:
        return choice.weights_bytes
    return None if choice.parameters is None else choice.parameters * 2


def quantized_bytes(choice: Choice, config: RunConfig) -> int | None:
    """About the same in 8 or 4 bits; embeddings and head stay in 16 bits, or in 32."""
    if choice.parameters is None:
        return None
    known = find(choice.model)
    if known is None:
        kept = choice.parameters // 10
    else:
        facts = known.architecture()
        text = {**facts, **facts.get("text_config", {})}
        kept = (
            text["vocab_size"] * text["hidden_size"] * (2 - bool(text.get("tie_word_embeddings")))
        )
    bits = choice.parameters - kept
    return kept * _BYTES.get(config.dtype, 2) + round(bits * _QUANTIZED[config.quantize])


_QUANTIZED = {"int8": 1.0, "int4": 0.5 + 1 / 16}
"""Bytes that a weight takes, its share of the scales included."""


def kv_bytes(choice: Choice, config: RunConfig) -> int:
    """KV cache of the largest level, all its requests at their full length."""
    known = find(choice.model)
    per_token = known.kv_bytes_per_token if known else USUAL_KV
    if known is None and choice.weights_bytes is not None:
        per_token = min(per_token, max(choice.weights_bytes // 4096, 1))
    if config.dtype == "float32":
        per_token *= 2
    return per_token * max(config.concurrency) * (config.prompt_toks + config.gen_toks)
