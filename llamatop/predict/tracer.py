"""The tracer's process: answers one `Ask` about a model's memory, from its `config.json` alone.

A process of its own, so that torch and transformers are imported neither by the monitor nor
twice by the engine. Reads JSON on stdin, writes JSON on what was stdout, and ends.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import msgspec
import torch
from transformers.initialization import no_init_weights
from transformers.utils import logging

from llamatop.engines import architecture, devices, packing, quantize
from llamatop.engines.quantization import Quantization
from llamatop.engines.resolve import Source
from llamatop.errors import InputError
from llamatop.hardware.memory import resident_bytes
from llamatop.predict import checkpoint, kernels, packed, stored
from llamatop.predict.anatomy import Anatomy
from llamatop.predict.caches import Cached
from llamatop.predict.crowd import panels
from llamatop.predict.furthest import furthest
from llamatop.predict.orphan import reply
from llamatop.predict.passes import Tracer
from llamatop.predict.stored import Stored, UnknownFormatError
from llamatop.predict.telling import told
from llamatop.predict.traced import Ask, LayerKind, Peak, Trace


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
        why = f"its memory cannot be foretold: {told(error)}; run it to measure it"
        raise InputError(f"--model {ask.model}: {why}") from None


def trace(ask: Ask) -> Trace:
    """All about one model; where it does not run on fake tensors, what is known without.

    Raises InputError for what is no usable `config.json`.
    """
    begun = _begin(ask)
    try:
        tracer = _tracer(ask, begun, Tracer)
    except Exception as problem:
        return _without(begun.found, len(begun.anatomy.layers), told(problem))
    return _run(ask, begun, tracer)


AnyTracer = TypeVar("AnyTracer", bound=Tracer)


def trace_with(ask: Ask) -> tuple[Trace, Tracer]:
    """The same, and what can trace further shapes; raises what the model does, if it does."""
    return trace_as(ask, Tracer)


def trace_as(ask: Ask, kind: type[AnyTracer]) -> tuple[Trace, AnyTracer]:
    """The same with a tracer of that kind."""
    begun = _begin(ask)
    tracer = _tracer(ask, begun, kind)
    return _run(ask, begun, tracer), tracer


class _Begun(NamedTuple):
    """A model on the meta device, and what is known without running it."""

    found: Trace
    anatomy: Anatomy
    dtype: torch.dtype


def _begin(ask: Ask) -> _Begun:
    runtime = _runtime_bytes() if ask.runtime else None  # what is traced adds to it
    source = Source(ask.model, ask.architecture, None, ask.beside)
    layout = architecture.read(source, ask.layers)
    dtype = _dtype(ask, layout.dtype)
    if runtime is not None:
        runtime += _library_bytes(ask, dtype)
    with no_init_weights(), torch.device("meta"):
        model = layout.kind._from_config(layout.config, dtype=dtype)
    model.tie_weights()
    packable = packing.packable(model) if ask.device == "cpu" else {}
    shapes = Counter(tuple(part.weight.shape) for part in packable.values())
    anatomy = Anatomy(model, layout.text)
    found = msgspec.structs.replace(
        _weighed(ask, source, anatomy, dtype),
        runtime_bytes=runtime,
        matrices=tuple((*shape, count) for shape, count in sorted(shapes.items())),
    )
    return _Begun(found, anatomy, dtype)


def _tracer(ask: Ask, begun: _Begun, kind: type[AnyTracer]) -> AnyTracer:
    tracer = kind(begun.anatomy, ask.device, ask.sampling)
    method = begun.found.quantization
    if method == "mxfp4":
        tracer.leave_experts()
    elif method and not method.endswith("unpacked"):
        tracer.quantize(kernels.of(ask.quantize, ask.device, begun.dtype))
    return tracer


def _run(ask: Ask, begun: _Begun, tracer: Tracer) -> Trace:
    """What is known of the model after it ran."""
    found = _cached(begun.found, tracer, begun.anatomy)
    found = _held(found, tracer, ask, begun.anatomy, begun.dtype)
    return found if ask.reach is None else furthest(found, tracer, ask.reach, ask.device)


def _without(found: Trace, layers: int, reason: str) -> Trace:
    """What is known of a model that does not run."""
    why = f"a forward of it cannot be traced: {reason}"
    unknown = {**found.unknown, "kv_bytes_per_token": why, "peak_bytes": why}
    return msgspec.structs.replace(found, kinds=(LayerKind(layers, 0, None),), unknown=unknown)


def _weighed(ask: Ask, source: Source, anatomy: Anatomy, dtype: torch.dtype) -> Trace:
    """What is known of the model without running it."""
    model, unknown, beside = anatomy.model, {}, anatomy.buffer_bytes
    disk = kept = Stored()
    try:
        if ask.checkpoint and source.quantization is not None:
            disk = _checkpoint(ask, source.quantization, model)
            kept = packed.in_memory(disk, ask.device, ask.capability)
        else:
            kept = stored.made(model, ask.quantize, ask.device)
    except UnknownFormatError as problem:
        unknown = dict.fromkeys(("weights_bytes", "stored_bytes"), str(problem))
        kept = Stored(source.quantization.method if source.quantization else "")
    return Trace(
        dtype=str(dtype).removeprefix("torch."),
        parameters=anatomy.parameters,
        active_parameters=anatomy.active,
        weights_bytes=None if unknown else kept.bytes_of(model.parameters()) + beside,
        read_bytes=kept.bytes_of(anatomy.read_always),
        expert_bytes=kept.bytes_of(anatomy.chosen_experts),
        experts=anatomy.experts,
        experts_per_token=anatomy.experts_per_token,
        attention_width=anatomy.attention_width,
        context=source.context or _context(anatomy.text),
        kinds=(),
        peaks=(),
        score_heads=_score_heads(model, anatomy.text),
        quantization=kept.method,
        quantization_note=kept.note,
        stored_bytes=None if unknown else _stored_bytes(ask, disk, anatomy, source),
        scales_bytes=kept.scales_of(model.parameters()),
        unknown=unknown,
    )


def _stored_bytes(ask: Ask, disk: Stored, anatomy: Anatomy, source: Source) -> int | None:
    """What the checkpoint's files hold, in the dtype in which it is stored; None: there is none."""
    if not ask.checkpoint:
        return None
    parameters = anatomy.model.parameters()
    if disk.sizes:
        return disk.bytes_of(parameters) + anatomy.buffer_bytes
    width: int = architecture.stored_dtype(source).itemsize
    return sum(int(one.numel()) * width for one in (*parameters, *anatomy.buffers))


def _context(text: Any) -> int | None:
    """The limit that the type has where its config leaves it out."""
    found = getattr(text, "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def _cached(found: Trace, tracer: Tracer, anatomy: Anatomy) -> Trace:
    """The same with what each kind of layer caches."""
    try:
        cached = tracer.cached()
    except Exception as problem:
        why = f"what it caches is not understood: {told(problem)}"
        kinds = (LayerKind(len(anatomy.layers), 0, None),)
        unknown = {**found.unknown, "kv_bytes_per_token": why}
        return msgspec.structs.replace(found, kinds=kinds, unknown=unknown)
    return msgspec.structs.replace(found, kinds=_kinds(anatomy.kinds, cached))


def _held(found: Trace, tracer: Tracer, ask: Ask, anatomy: Anatomy, dtype: torch.dtype) -> Trace:
    """The same with the peaks that were asked for."""
    try:
        alone, crowds = _peaks(tracer, ask)
        scores = tracer.scores()
    except Exception as problem:
        why = f"a forward of it cannot be traced: {told(problem)}"
        return msgspec.structs.replace(found, unknown={**found.unknown, "peak_bytes": why})
    most = tracer.most_tokens
    long = most is not None and any(shape.prompt > most for shape in ask.shapes)
    note = f"peaks of prompts beyond {most} tokens lie on the line through shorter ones"
    return msgspec.structs.replace(
        found,
        peaks=alone,
        crowds=crowds,
        panel_bytes=_panel_bytes(anatomy, ask, dtype),
        score_bytes=scores,
        notes=(note,) if long else (),
    )


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


def _checkpoint(ask: Ask, found: Quantization, model: Any) -> Stored:
    """How its weights are stored."""
    try:
        return checkpoint.read(found, model, ask.device)
    except (TypeError, ValueError, AttributeError, re.error) as problem:
        raise InputError(
            f"--model {ask.model}: its {found.where} is not usable: {told(problem)}"
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


def _runtime_bytes() -> int | None:
    """What this process takes when it has imported what an engine's has."""
    importlib.import_module("llamatop.engines.torch_engines")
    return resident_bytes()


def _library_bytes(ask: Ask, dtype: torch.dtype) -> int:
    """What importing the library that quantises adds, where one does; 0: it is not known."""
    if ask.quantize == "none" or quantize.by_torch(ask.quantize, ask.device, dtype):
        return 0
    before = resident_bytes() or 0
    with suppress(ImportError):
        importlib.import_module(quantize.LIBRARY)
    return (resident_bytes() or 0) - before


def _kinds(kinds: list[int], cached: list[list[Cached]]) -> tuple[LayerKind, ...]:
    """Each kind of layer once, with what it caches."""
    like = dict(zip(kinds, cached, strict=True))
    return tuple(
        LayerKind(kinds.count(kind), size, window, beside=n > 0)
        for kind, parts in like.items()
        for n, (size, window) in enumerate(parts)
    )
