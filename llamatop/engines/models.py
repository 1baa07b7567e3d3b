"""From the settings of a run to an engine that can serve it.

Light until a model is found: torch and transformers are imported only after `resolve` has
accepted the input, so a mistake is told at once. Loading has a thread of its own, which ends: one
that has computed keeps OpenMP workers, and when there are more of them than cores none waits
actively any more, which halves the speed of continuous batching.
"""

from __future__ import annotations

import gc
import importlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from llamatop.engines.base import Engine, Progress
from llamatop.engines.resolve import resolve
from llamatop.events.kinds import Event
from llamatop.settings.config import RunConfig
from llamatop.settings.installed import need

_QUIET = {
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN_WARNING": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Read by the libraries when they are imported."""


def load_engine(
    config: RunConfig,
    progress: Progress,
    tell: Callable[[Event], None] = lambda _: None,
    quiet: Callable[[], None] = lambda: None,
) -> Engine:
    """Find, load and get ready the model of `config`, as is quickest here.

    `tell` hears what was found to be; `quiet` returns when nothing else computes. Raises InputError
    for what a person can mend, EngineMemoryError when memory ends.
    """
    _quiet()
    _check_library(config)
    source = resolve(config, progress)
    progress("imports", 0, None)
    loading, engines = libraries()

    def load() -> Any:
        since = time.perf_counter()
        loaded = loading.load(config, source, progress)
        if config.tuning:
            tuning = importlib.import_module("llamatop.engines.tuning")
            tuning.tune(config, loaded, tuning.Outside(progress, tell, quiet, since))
        return loaded

    with ThreadPoolExecutor(1, "load") as apart:
        loaded = apart.submit(load).result()
    engine: Engine = engines.make_engine(config, loaded)
    return engine


def libraries() -> tuple[ModuleType, ModuleType]:
    """What loads a model and what runs it, with all that they import.

    That stays, and the collector need not look at it: not meanwhile, which takes half a second,
    and not while requests are served.
    """
    _quiet()
    gc.disable()
    try:
        loading = importlib.import_module("llamatop.engines.loading")
        return loading, importlib.import_module("llamatop.engines.torch_engines")
    finally:
        gc.freeze()
        gc.enable()


def _quiet() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def _check_library(config: RunConfig) -> None:
    """Raise InputError if what the engine imports, or what quantises, is not installed."""
    need(f"--engine {config.engine}")
    if config.quantize == "int4" or (
        config.quantize == "int8" and config.device not in ("auto", "cpu")
    ):  # else the dtype decides
        importlib.import_module("llamatop.engines.quantize").check_library(config.quantize)
