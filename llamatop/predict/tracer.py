"""The tracer's process: answers one `Ask` about a model's memory, from its `config.json` alone.

A process of its own, so that torch and transformers are imported neither by the monitor nor
twice by the engine. Reads JSON on stdin, writes JSON on what was stdout, and ends.
"""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from typing import Any

import torch
from transformers.initialization import no_init_weights
from transformers.utils import logging

from llamatop.engines import architecture, devices, quantize
from llamatop.engines.resolve import Source
from llamatop.errors import InputError
from llamatop.hardware.memory import resident_bytes
from llamatop.predict import checkpoint, kernels, packed, stored
from llamatop.predict.anatomy import Anatomy
from llamatop.predict.crowd import panels
from llamatop.predict.orphan import reply
from llamatop.predict.passes import Tracer
from llamatop.predict.stored import Stored
from llamatop.predict.traced import Ask, LayerKind, Peak, Trace
from llamatop.settings.config import QuantizeName

_LAST = 200
"""Characters kept of what a model raised."""


def main() -> None:
    """Answer what stdin asks."""
    logging.set_verbosity_error()
    reply(Ask, _answer)


def _answer(ask: Ask) -> Trace:
    try:
        return trace(ask)
    except InputError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:_LAST]}"
        raise InputError(f"--model {ask.model}: its memory cannot be foretold: {what}") from None


def trace(ask: Ask) -> Trace:
    """All about one model. Raises InputError for what is no usable `config.json`."""
    return trace_with(ask)[0]


def trace_with(ask: Ask) -> tuple[Trace, Tracer]:
    """The same, and what can trace further shapes."""
    runtime = _runtime_bytes(ask.quantize) if ask.runtime else None  # what is traced adds to it
    source = Source(ask.model, ask.architecture, None)
    layout = architecture.read(source, ask.layers)
    dtype = _dtype(ask, layout.dtype)
    with no_init_weights(), torch.device("meta"):
        model = layout.kind._from_config(layout.config, dtype=dtype)
    model.tie_weights()
    disk = _checkpoint(ask, model)
    if disk is None:
        kept = stored.made(model, ask.quantize, ask.device)
    else:
        kept = packed.in_memory(disk, ask.device, ask.capability)
    anatomy = Anatomy(model, layout.text)
    shown = architecture.read(source, min(anatomy.prefix, layout.layers))
    tracer = Tracer(shown, anatomy.kinds, dtype, ask.device, ask.sampling)
    if kept.method == "mxfp4":
        tracer.leave_experts()
    elif kept.sizes:
        tracer.quantize(kernels.of(ask.quantize, ask.device))
    alone, crowds = _peaks(tracer, ask)
    found = Trace(
        dtype=str(dtype).removeprefix("torch."),
        parameters=anatomy.parameters,
        active_parameters=anatomy.active,
        weights_bytes=kept.bytes_of(model.parameters()),
        read_bytes=kept.bytes_of(anatomy.read_always),
        expert_bytes=kept.bytes_of(anatomy.chosen_experts),
        experts=anatomy.experts,
        experts_per_token=anatomy.experts_per_token,
        attention_width=anatomy.attention_width,
        context=source.context,
        kinds=_kinds(anatomy.kinds, tracer.cached()),
        peaks=alone,
        crowds=crowds,
        panel_bytes=_panel_bytes(anatomy, ask, dtype),
        score_heads=_score_heads(model, layout.text),
        quantization=kept.method,
        quantization_note=kept.note,
        stored_bytes=None if disk is None else disk.bytes_of(model.parameters()),
        scales_bytes=kept.scales_of(model.parameters()),
        score_bytes=tracer.scores(),
        runtime_bytes=runtime,
    )
    return found, tracer


def _peaks(tracer: Tracer, ask: Ask) -> tuple[tuple[Peak, ...], tuple[Peak, ...]]:
    """Those of single forwards, and those of threads."""
    if not ask.crowds:
        return tuple(tracer.peak(shape) for shape in ask.shapes), ()
    alone = {s: tracer.peak(s) for s in ask.shapes if s.batch == 1}
    crowds = (tracer.crowd(s, alone[s._replace(batch=1)]) for s in ask.shapes if s.batch > 1)
    return tuple(alone.values()), tuple(crowds)


def _panel_bytes(anatomy: Anatomy, ask: Ask, dtype: torch.dtype) -> int:
    """Of the widest matrix of a layer."""
    if not ask.crowds:
        return 0
    tokens = max(shape.prompt for shape in ask.shapes)
    return panels(dtype, anatomy.widest, tokens)


def _checkpoint(ask: Ask, model: Any) -> Stored | None:
    """How its weights are stored, where they are a quantised checkpoint's; else None."""
    settings = ask.architecture.get("quantization_config") if ask.checkpoint else None
    if not isinstance(settings, dict):
        return None
    try:
        return checkpoint.read(settings, model, ask.device)
    except InputError as problem:
        raise InputError(f"--model {ask.model}: {problem}") from None
    except (TypeError, ValueError, AttributeError, re.error) as problem:
        reason = " ".join(str(problem).split())
        raise InputError(
            f"--model {ask.model}: its quantization_config is not usable: {reason}"
        ) from problem


def _dtype(ask: Ask, stored: torch.dtype) -> torch.dtype:
    """As the engine would pick it; an accelerator that is not here is taken to know bfloat16."""
    if ask.device == "cpu" or (ask.capability is None and torch.cuda.is_available()):
        return devices.pick_dtype(ask.dtype, stored, torch.device(ask.device))
    return devices.pick_dtype(ask.dtype, stored, torch.device("meta"))


def _score_heads(model: Any, text: Any) -> int:
    """The heads of a layer, where the model has no attention that fuses their scores."""
    eager = getattr(model.config, "_attn_implementation", "") == "eager"
    return int(getattr(text, "num_attention_heads", 0) or 0) if eager else 0


def _runtime_bytes(how: QuantizeName) -> int | None:
    """What this process takes when it has imported what an engine's has."""
    importlib.import_module("llamatop.engines.torch_engines")
    if how != "none":
        with suppress(ImportError):
            importlib.import_module(quantize.LIBRARY)
    return resident_bytes()


def _kinds(kinds: list[int], cached: list[tuple[int, int | None]]) -> tuple[LayerKind, ...]:
    """Each kind of layer once, with what the last of the prefix caches."""
    like = dict(zip(kinds, cached, strict=False))
    return tuple(LayerKind(kinds.count(kind), *like[kind]) for kind in like)
