"""The engines that run a transformers model, by name."""

from __future__ import annotations

import msgspec

from llamatop.engines.base import Engine
from llamatop.engines.batch import BatchEngine
from llamatop.engines.continuous import ContinuousEngine
from llamatop.engines.loading import Loaded
from llamatop.engines.paging import can_be_paged
from llamatop.engines.threads import ThreadsEngine
from llamatop.engines.torch_engine import TorchEngine
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

ENGINES: dict[str, type[TorchEngine]] = {
    engine.name: engine for engine in (ContinuousEngine, BatchEngine, ThreadsEngine)
}
COMPILED = "compiled"
"""Apart from them: what compiles takes a second to import."""


def make_engine(config: RunConfig, loaded: Loaded) -> Engine:
    """The engine that `config` names; InputError if it is none or cannot run this model.

    `auto` is static batches: as fast as any on a CPU, and on an H100 1.3 to 5 times as fast as
    continuous batching, which without flash attention masks every page of the pool.
    """
    if sizes := loaded.prompts.given_sizes:
        longest = max(size.longest(config.gen_toks) for size in sizes)
        config = msgspec.structs.replace(config, prompt_toks=longest)
    if config.engine == COMPILED:
        from llamatop.engines.compiled import CompiledEngine  # noqa: PLC0415  (see above)

        return CompiledEngine(loaded, config)
    if config.engine != "auto":
        if config.engine not in ENGINES:
            raise InputError(
                f"--engine {config.engine}: use one of auto, {', '.join(ENGINES)}, {COMPILED}"
            )
        return ENGINES[config.engine](loaded, config)
    if config.tp > 1:
        return BatchEngine(loaded, config, "the one that several ranks share")
    if config.offload != "none":
        return BatchEngine(loaded, config, "the one that can offload")
    if config.prefix_toks and can_be_paged(loaded.model):
        return ContinuousEngine(loaded, config, "the one that shares beginnings")
    measured = {"cpu": "measures fastest on a CPU", "cuda": "measures fastest on a GPU"}
    return BatchEngine(loaded, config, measured.get(loaded.device.type, ""))
