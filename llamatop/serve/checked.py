"""`check` of a model on a foreign engine: what of the prediction holds there, and what does not."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from llamatop.errors import InputError
from llamatop.predict import gguf
from llamatop.predict.checking import Check, LevelCheck, Place, Told
from llamatop.predict.fit import BAND, verdict
from llamatop.serve.foretold import trace_of, weights_and_kv
from llamatop.serve.names import gguf_of
from llamatop.serve.plans import model_path
from llamatop.settings.config import RunConfig

_OWN = {
    "vllm": "its pool is a share of the device, 0.9 (--gpu-memory-utilization)",
    "sglang": "its pool is a share of the device (--mem-fraction-static)",
    "transformers": "its pool is a share of the device, or --cb-num-blocks",
}
"""What each takes that does not follow from the model and the requests."""

ENGINES = ("vllm", "llama.cpp", "transformers", "sglang")
"""Those of which something is foretold; Ollama's models are its own."""


def check_served(config: RunConfig, place: Place, engine: str, cache_type: str) -> Check:
    """Check one model on an engine of `ENGINES`. Raises InputError."""
    if engine == "llama.cpp":
        named = msgspec.structs.replace(config, model=str(gguf_of(config.model)))
        return replace(gguf.check(named, place, cache_type), config=config)
    if gguf.is_gguf(config.model):
        raise InputError(f"--serve {engine}: {config.model} is llama.cpp's; leave --serve out")
    trace = trace_of(config, model_path(config.model))
    tokens = config.prompt_toks + config.gen_toks
    levels = []
    for requests in config.concurrency:
        told = weights_and_kv(trace, requests, tokens)
        too_much = (
            verdict(told.peak_bytes, place.available_bytes, told.peak_bytes) == "does not fit"
        )
        found: Told = "does not fit" if too_much else "unknown"
        levels.append(LevelCheck(requests, told, found, None, None))
    notes = (
        f"{engine}: weights and cache hold there, and are all that is foretold",
        _OWN[engine],
        "its graphs, buffers and programs come on top, and are not foretold",
    )
    whole = dict.fromkeys(_OF_THE_WHOLE, f"what {engine} takes besides is its own")
    return Check(
        config=config,
        engine=engine,
        trace=msgspec.structs.replace(trace, notes=notes, unknown={**trace.unknown, **whole}),
        place=place,
        levels=levels,
        max_concurrency=None,
        max_concurrency_at_best=None,
        max_context=None,
        band=BAND,
        verdict=max(levels, key=lambda level: level.concurrency).verdict,
    )


_OF_THE_WHOLE = ("max_concurrency", "max_concurrency_at_best", "max_context")
