"""Will a GGUF model fit, told from its header alone: `check` of a file that llama.cpp runs.

Reads no weights and imports no torch. Puts together what the file says, what llama.cpp's server
takes for it, and the memory at hand or asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from llamatop.catalog import gguf as files
from llamatop.catalog.ggml import FLOATS
from llamatop.catalog.gguf import Gguf, GgufError, Tensor
from llamatop.errors import InputError
from llamatop.figures import roofline
from llamatop.predict.checking import Check, LevelCheck, Place
from llamatop.predict.devices import smallest
from llamatop.predict.fit import BAND, largest, verdict
from llamatop.predict.gguf_caches import blocks, each_layer, whole
from llamatop.predict.llamacpp import CELLS, MAX_SLOTS, Server, padded
from llamatop.predict.memory import Prediction
from llamatop.predict.traced import Trace
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import plural, size

ENGINE = "llama.cpp"
_TABLES = ("rope_freqs.", "rope_factors_")
"""Tensors that are no parameters: constants of the rotation."""
_NO_GPU = "not measured on a GPU: weights and cache by size, the rest as on a CPU"


def is_gguf(model: str) -> bool:
    """Whether a model's name is a GGUF file's."""
    return files.is_gguf(Path(model))


def models_of(names: Sequence[str]) -> list[str]:
    """The same names, but for a folder of GGUF files its models."""
    return [model for name in names for model in _models_in(name) or [name]]


def _models_in(name: str) -> list[str]:
    """The GGUF models of a folder that has no `config.json`; [] of anything else."""
    folder = Path(name).expanduser()
    try:
        if not folder.is_dir() or (folder / "config.json").exists():
            return []
    except OSError:
        return []
    found = files.models_in(folder)
    return [str(file) for file in found if not file.name.startswith("mmproj")]


def check(config: RunConfig, place: Place, cache_type: str = "f16") -> Check:
    """Check one file at the levels of `config`; InputError in one line where it is no model."""
    gguf = _model(config.model)
    _check_options(config)
    server = Server(gguf, cache_type, place.device)
    prompt, output = config.prompt_toks, config.gen_toks
    trace = _trace(gguf, server, _notes(server, prompt, output))
    _check_context(config, trace)

    def peak(slots: int) -> Prediction | None:
        return None if server.caches.unknown else server.peak(slots, prompt, output)

    def most(needed: Callable[[Prediction], float]) -> int | None:
        if server.caches.unknown:
            return None
        at = server.peak
        return largest(lambda n: needed(at(n, prompt, output)), place.available_bytes, MAX_SLOTS)

    def sure(prediction: Prediction) -> float:
        return prediction.sure_bytes(BAND)

    levels = [_level(trace, place, n, config, peak(n)) for n in config.concurrency]
    last = max(levels, key=lambda level: level.concurrency)
    return Check(
        config=config,
        engine=ENGINE,
        trace=trace,
        place=place,
        levels=levels,
        max_concurrency=most(sure),
        max_concurrency_at_best=most(lambda one: one.peak_bytes),
        max_context=_longest(server, trace, place),
        band=BAND,
        verdict=last.verdict,
        would_fit=_advice(last, most(sure), cache_type) if last.verdict != "fits" else [],
        beside={"stored_by_type": gguf.stored_by_type},
    )


def _model(name: str) -> Gguf:
    path = Path(name).expanduser()
    try:
        if not path.exists():
            raise InputError(f"--model {name}: there is no such file")
        gguf = files.read(path)
    except OSError as error:
        raise InputError(f"--model {name}: it cannot be read: {error.strerror}") from None
    except GgufError as error:
        raise InputError(f"--model {name}: it {error}") from None
    kind = gguf.settings.get("general.type", "model")
    if gguf.architecture == "clip" or kind != "model" or not gguf.tensors:
        what = "a projector of images" if gguf.architecture == "clip" else f"no model ({kind})"
        raise InputError(f"--model {name}: it is {what}; give the model's own file")
    return gguf


def _check_options(config: RunConfig) -> None:
    """What a run in process would be told and llama.cpp is not."""
    given = {
        "--weights random": config.weights == "random",
        f"--layers {config.layers}": config.layers is not None,
        f"--engine {config.engine}": config.engine != "auto",
        f"--dtype {config.dtype}": config.dtype != "auto",
        f"--quantize {config.quantize}": config.quantize != "none",
    }
    for option, is_given in given.items():
        if is_given:
            raise InputError(f"{option}: {config.model} runs as it is stored; leave it out")


def _check_context(config: RunConfig, trace: Trace) -> None:
    asked, most = config.prompt_toks + config.gen_toks, trace.context
    if most is not None and asked > most:
        raise InputError(
            f"--prompt-toks {config.prompt_toks} and --gen-toks {config.gen_toks} make {asked} "
            f"tokens: {config.model} takes at most {most}"
        )


def _trace(gguf: Gguf, server: Server, notes: tuple[str, ...]) -> Trace:
    """What the file says, in the words of the tracer."""
    weights = [one for one in gguf.tensors if not one.name.startswith(_TABLES)]
    expert = [one for one in weights if "_exps." in one.name]
    experts, used = whole(gguf, "expert_count", 0), whole(gguf, "expert_used_count", 0)
    idle = 1 - used / experts if experts else 0.0
    parameters = sum(one.numbers for one in weights)
    tied = all(one.name != "output.weight" for one in weights)
    read = [one for one in weights if tied or one.name != "token_embd.weight"]
    by_type = gguf.stored_by_type
    main = next(iter(by_type))
    unknown = {"kv_bytes_per_token": server.caches.unknown} if server.caches.unknown else {}
    return Trace(
        dtype=FLOATS.get(main, main),
        parameters=parameters,
        active_parameters=parameters - round(sum(one.numbers for one in expert) * idle),
        weights_bytes=server.weights_bytes,
        read_bytes=_bytes(read) - _bytes(expert),
        expert_bytes=_bytes(expert),
        experts=experts,
        experts_per_token=used,
        attention_width=_attention_width(gguf),
        context=whole(gguf, "context_length", 0) or None,
        kinds=server.caches.kinds,
        peaks=(),
        quantization="" if main in FLOATS else "GGUF",
        stored_bytes=sum(by_type.values()),
        unknown=unknown,
        notes=notes,
    )


def _notes(server: Server, prompt: int, output: int) -> tuple[str, ...]:
    """What besides the peak one must know of llama.cpp."""
    each = size(server.kept_bytes(prompt, output))
    kept = f"ended prompts stay in llama-server: {each} each, up to --cache-ram, 8.6 GB"
    return (kept,) if server.device == "cpu" else (kept, _NO_GPU)


def _bytes(tensors: list[Tensor]) -> int:
    return sum(one.bytes for one in tensors)


def _attention_width(gguf: Gguf) -> int:
    heads = [each_layer(gguf, "attention.head_count", n, 0) for n in range(blocks(gguf))]
    usual = whole(gguf, "embedding_length") // max(max(heads, default=1), 1)
    return sum(heads) * whole(gguf, "attention.key_length", usual)


def _level(
    trace: Trace, place: Place, slots: int, config: RunConfig, told: Prediction | None
) -> LevelCheck:
    prompt, output = config.prompt_toks, config.gen_toks
    decode = prefill = None
    if place.roofs is not None and told is not None:
        decode = roofline.decode_ceiling(trace, slots, prompt + output // 2, place.roofs)
        prefill = roofline.prefill_floor(trace, slots, prompt, place.roofs)
    if told is None:
        return LevelCheck(slots, None, "unknown", None, None)
    found = verdict(told.peak_bytes, place.available_bytes, told.sure_bytes(BAND))
    return LevelCheck(slots, told, found, decode, prefill)


def _longest(server: Server, trace: Trace, place: Place) -> int | None:
    """Prompt and output of one request, all but one token of it prompt."""
    if server.caches.unknown:
        return None
    limit = trace.context or 1 << 24

    def needed(blocks: int) -> float:
        return server.peak(1, blocks * CELLS - 1, 1).sure_bytes(BAND)

    found = largest(needed, place.available_bytes, padded(limit) // CELLS)
    return min(found * CELLS, limit)


def _advice(level: LevelCheck, most: int | None, cache_type: str) -> list[str]:
    """What would fit, in the order in which a person would try it."""
    if level.prediction is None:
        return []
    advice = []
    if most and most < level.concurrency:
        advice.append(f"at most {plural(most, 'request')} at once")
    if cache_type == "f16":
        advice.append("--cache-type q8_0, which takes about half the cache")
    needed = level.prediction.sure_bytes(BAND)
    advice.append(f"{size(needed)} of memory")
    if (which := smallest(needed)) is not None:
        count, device = which
        of = size(device.memory_bytes)
        one = f"one {device.name} ({of})"
        advice.append(one if count == 1 else f"{count} x {device.name} ({of} each)")
    return advice
