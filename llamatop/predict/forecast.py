"""From a model's name and the settings of a run to what it will take: the tracer asked, the
parts added up. What the commands and a live run call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from llamatop.engines.resolve import Source, folder_here, resolve
from llamatop.errors import InputError
from llamatop.predict import memory
from llamatop.predict.answers import answered
from llamatop.predict.child import ask
from llamatop.predict.counting import with_longest_prompt
from llamatop.predict.layouts import packs
from llamatop.predict.memory import Prediction
from llamatop.predict.runtime import recalled_runtime, remember_runtime
from llamatop.predict.traced import Ask, Reach, Shape, Trace
from llamatop.predict.traces import remember, remembered
from llamatop.predict.untraced import recalled
from llamatop.settings.config import RunConfig
from llamatop.settings.installed import missing

MANY = 256
"""A batch that is traced beside those asked for, so that all others lie on a line."""
BETWEEN = (1, 4, 16, 64, MANY)
"""Levels that are traced in threads: others lie between them."""


def trace_model(
    config: RunConfig,
    device: str,
    shapes: Iterable[Shape],
    capability: tuple[int, int] | None = None,
    reach: Reach | None = None,
) -> Trace:
    """All about the model of `config`, without its weights. Raises InputError in one line.

    `capability` is the compute capability of a device that is not here; `reach` the memory in
    which the longest context is sought.
    """
    trace = _traced(config, device, shapes, capability, reach)
    if config.engine == "compiled":
        unknown = trace.unknown | {"peak_bytes": memory.COMPILED_UNTOLD}
        return msgspec.structs.replace(trace, unknown=unknown)
    return trace


def _traced(
    config: RunConfig,
    device: str,
    shapes: Iterable[Shape],
    capability: tuple[int, int] | None,
    reach: Reach | None,
) -> Trace:
    source = architecture_of(config)
    question = Ask(
        config.model,
        source.architecture,
        config.layers,
        config.dtype,
        device,
        tuple(sorted(set(shapes))),
        memory.in_threads(config.engine, device),
        quantize=config.quantize,
        checkpoint=config.weights != "random",
        runtime=device == "cpu",
        capability=capability,
        sampling=_sampling(config),
        beside=source.beside,
        reach=reach,
    )
    if absent := missing():
        return recalled(question, absent)
    trace = remembered(question) or _answered(question)
    if trace is None:
        trace = ask("llamatop.predict.tracer", question, Trace)
        remember(question, trace)
    if config.quantize != "none":  # it is with what quantises, which few engines import
        return trace
    if recalled_runtime() is None:
        remember_runtime(trace.runtime_bytes)
    known = recalled_runtime() if device == "cpu" else None
    return msgspec.structs.replace(trace, runtime_bytes=known or trace.runtime_bytes)


def _answered(question: Ask) -> Trace | None:
    """From what ships; on a CPU also the tracer's process is measured, once."""
    measured = question.device != "cpu" or recalled_runtime() is not None
    return answered(question) if measured else None


def shapes_of(config: RunConfig, device: str, *, few: bool = False) -> set[Shape]:
    """What has to be traced for the levels of `config`; with others to draw lines through, so that
    it can be told of any level, unless `few`."""
    engine = memory.resolve_engine(config.engine, device)
    more = () if few else BETWEEN if engine == "threads" else (1, MANY)
    levels = [*config.concurrency, *more]
    return memory.shapes(engine, device, levels, config.prompt_toks, config.gen_toks)


def between_levels(trace: Trace) -> Trace:
    """The same without the levels that were asked for, so that what is searched in all levels
    depends on none of these.

    Peaks of single levels do not rise steadily with the requests: blocks of a layer that outgrow
    what the C library keeps are given back, from there on less stays free between caches. A search
    goes along the lines through fixed levels, which rise.
    """
    ends = [peak for peak in trace.peaks if peak.shape.batch in (1, MANY)]
    crowds = [peak for peak in trace.crowds if peak.shape.batch in BETWEEN]
    return msgspec.structs.replace(trace, peaks=tuple(ends), crowds=tuple(crowds))


def architecture_of(config: RunConfig) -> Source:
    """Where the model's `config.json` is found; nothing heavy is imported for it."""
    return resolve(msgspec.structs.replace(config, weights="random"), lambda *_: None)


def _sampling(config: RunConfig) -> dict[str, Any]:
    """How a trained checkpoint chooses tokens; empty where there is none here."""
    folder = None if config.weights == "random" else folder_here(config.model)
    if folder is None:
        return {}
    try:
        return dict(msgspec.json.decode((folder / "generation_config.json").read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}  # the engine says what is wrong with it


def forecast(config: RunConfig, device: str = "cpu") -> tuple[Trace, list[Prediction]]:
    """All about the model, and the peak of each level of a run: 3 s and a child process of 0.4 GB
    where it was not traced before.

    Of lengths that are drawn, it is the peak as if all requests had the longest.

    Raises InputError where the model cannot be traced; its run may go on without.
    """
    config = with_longest_prompt(config)
    levels = list(config.concurrency)
    engine, prompt, tokens = config.engine, config.prompt_toks, config.gen_toks
    trace = trace_model(config, device, shapes_of(config, device))
    try:
        packed = packs(trace, config, device)
        peaks = [
            memory.predict(trace, engine, device, Shape(n, prompt, tokens), packed=packed)
            for n in levels
        ]
    except LookupError as reason:
        raise InputError(
            f"--model {config.model}: no peak can be foretold: {reason.args[0]}"
        ) from None
    return trace, peaks
