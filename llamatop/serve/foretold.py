"""What can be foretold of the memory of a server that is not ours: its weights, and the keys and
values of the requests asked for.

What it takes besides (its pool, however little of it is used; buffers, graphs, its own programs) is
its own affair and not foretold. Weights are as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from llamatop.catalog.gguf import is_gguf
from llamatop.engines.resolve import text_config
from llamatop.errors import InputError
from llamatop.events.kinds import MemoryUntold
from llamatop.predict import gguf
from llamatop.predict.checking import place_here
from llamatop.predict.forecast import architecture_of, trace_model
from llamatop.predict.memory import Foretold, Prediction
from llamatop.predict.traced import Trace
from llamatop.settings.config import DTYPES, DtypeName, RunConfig

WEIGHTS, KV = "weights", "kv cache"


def foretell(config: RunConfig, model: str, now: Callable[[], int]) -> Foretold:
    """Of a run; `model` is a name, a folder or a GGUF file. Takes seconds where a model is new."""
    try:
        trace = trace_of(config, model)
    except InputError as problem:
        return Foretold([MemoryUntold(now(), str(problem))], lambda *_: None)
    unknown = [trace.unknown[name] for name in sorted(trace.unknown) if name in _NEEDED]
    if trace.weights_bytes is None or unknown:
        why = unknown[0] if unknown else "how large its weights are is not known"
        return Foretold([MemoryUntold(now(), why)], lambda *_: None)
    tokens = config.prompt_toks + config.gen_toks
    return Foretold([], lambda requests, _: weights_and_kv(trace, requests, tokens))


_NEEDED = ("weights_bytes", "kv_bytes_per_token")


def trace_of(config: RunConfig, model: str) -> Trace:
    """What is known of the model as it is stored. Raises InputError."""
    plain = RunConfig(model=model, prompt_toks=config.prompt_toks, gen_toks=config.gen_toks)
    if is_gguf(Path(model)):
        return gguf.check(plain, place_here("cpu")).trace
    stored = text_config(architecture_of(plain).architecture)
    dtype = str(stored.get("dtype") or stored.get("torch_dtype"))
    known: DtypeName = dtype if dtype in DTYPES else "auto"
    return trace_model(msgspec.structs.replace(plain, dtype=known), "cpu", ())


def weights_and_kv(trace: Trace, requests: int, tokens: int) -> Prediction:
    """Bytes by part, of so many requests of so many tokens each; no peak."""
    each = (
        kind.count * kind.kv_bytes_per_token * min(tokens, kind.window or tokens)
        for kind in trace.kinds
    )
    parts = {WEIGHTS: trace.weights_bytes or 0, KV: requests * round(sum(each))}
    return Prediction(None, None, parts)
