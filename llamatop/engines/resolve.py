"""Where a model comes from, settled before anything heavy is imported or loaded.

In this order: the bundled demo, a local folder, for random weights the built-in catalog, the
Hugging Face cache, the Hub. Reads files, executes none of them; knows neither torch nor
transformers.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from llamatop.catalog import demo_folder, find
from llamatop.catalog.gguf import is_gguf
from llamatop.engines import config_file, quantization, weight_files
from llamatop.engines.base import Progress
from llamatop.engines.hub_cache import hub_folder
from llamatop.engines.plausible import check_architecture
from llamatop.engines.quantization import Quantization
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig

_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


@dataclass(frozen=True, slots=True)
class Source:
    """A model that is on this machine."""

    model: str
    """As it was asked for."""
    architecture: dict[str, Any]
    """Its `config.json`."""
    folder: Path | None
    """With weights and tokenizer; None: only the architecture is here, weights will be random."""
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What files beside it say of its quantisation, by name."""

    @property
    def quantization(self) -> Quantization | None:
        """How the checkpoint's weights are quantised; None: they are not."""
        return quantization.find(self.architecture, self.beside)

    @property
    def context(self) -> int | None:
        """Longest prompt and output together in tokens, where the architecture has a limit."""
        text = text_config(self.architecture)
        found = (text.get(key) for key in _CONTEXT_KEYS)
        return next(
            (n for n in found if isinstance(n, int) and not isinstance(n, bool) and n > 0), None
        )


def resolve(config: RunConfig, progress: Progress) -> Source:
    """Find the model of `config`, downloading it if need be; InputError in one line if it cannot.

    A download is told to `progress` in bytes, as stage `download`.
    """
    if is_gguf(Path(config.model)):
        raise InputError(
            f"--model {config.model}: llama.cpp runs GGUF files: llamatop --serve llama.cpp "
            f"--model {config.model}"
        )
    source = _architecture(config.model) if config.weights == "random" else None
    source = source or _whole(config.model, progress)
    check_architecture(config.model, source.architecture)
    check_context(config, source)
    check_quantize(config, source)
    return source


def folder_here(model: str) -> Path | None:
    """The folder of a model that is on this machine with its weights; nothing is downloaded."""
    if model == "demo":
        return demo_folder()
    if _is_path(model):
        return Path(model).expanduser()
    if not _is_folder(hub_folder(model)):
        return None
    cached: Path | None = _hub().cached_model(model)
    return cached


def text_config(architecture: dict[str, Any]) -> dict[str, Any]:
    """The part of a `config.json` that describes the language model."""
    text = architecture.get("text_config")
    return text if isinstance(text, dict) else architecture


def check_context(config: RunConfig, source: Source) -> None:
    """Raise InputError if prompt and output do not fit the model's context.

    Those of a file are looked at when they have become tokens (see `given`).
    """
    if config.prompts is not None:
        return
    asked = config.prompt_toks + config.gen_toks
    if source.context is not None and asked > source.context:
        raise InputError(
            f"--prompt-toks {config.prompt_toks} and --gen-toks {config.gen_toks} make {asked} "
            f"tokens: {config.model} takes at most {source.context}"
        )


def check_quantize(config: RunConfig, source: Source) -> None:
    """Raise InputError if `--quantize` is asked for what is quantised already."""
    known = source.quantization
    if known is None:
        return
    method = known.method or "by a method of its own"
    if config.quantize != "none":
        raise InputError(
            f"--quantize {config.quantize}: {config.model} is quantised already ({method}); "
            "leave it out"
        )
    if source.folder is not None and not known.usual:
        raise InputError(
            f"--model {config.model}: its weights are quantised ({method}, in {known.where}), "
            "which transformers does not see there; use --weights random, or a server that does"
        )


def _whole(model: str, progress: Progress) -> Source:
    """A model with its trained weights."""
    if model == "demo":
        return _from_folder(model, demo_folder())
    if _is_path(model):
        return _from_folder(model, Path(model).expanduser())
    hub = _hub()
    return _from_folder(model, hub.cached_model(model) or hub.download_model(model, progress))


def _architecture(model: str) -> Source:
    """A model's architecture alone, for random weights."""
    if model == "demo":
        return _bare(model, demo_folder() / "config.json")
    if _is_path(model):
        return _bare(model, Path(model).expanduser() / "config.json")
    if known := find(model):
        return Source(model, known.architecture(), None)
    return _bare(model, _hub().config_file(model))


def _hub() -> ModuleType:
    """The Hub's library takes a third of a second to import, which a local model need not."""
    return importlib.import_module("llamatop.engines.hub")


def _is_path(model: str) -> bool:
    """A folder that is here, or a name that can only be meant as a path."""
    if model.startswith(("/", "./", "../", "~", ".\\")) or model in (".", ".."):
        return True
    return _is_folder(Path(model))


def _is_folder(path: Path) -> bool:
    """Whether it is; a name that is too long for a file is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _bare(model: str, config: Path) -> Source:
    beside = quantization.read_beside(config.parent)
    return Source(model, _read_config(model, config), None, beside)


def _from_folder(model: str, folder: Path) -> Source:
    architecture = _read_config(model, folder / "config.json")
    _check_weights(model, folder)
    return Source(model, architecture, folder, quantization.read_beside(folder))


def _read_config(model: str, path: Path) -> dict[str, Any]:
    if not _is_folder(path.parent):
        raise InputError(f"--model {model}: there is no such folder")
    try:
        return config_file.read(path)
    except FileNotFoundError:
        raise InputError(
            f"--model {model}: no config.json in {path.parent}; give the folder of a model as "
            "save_pretrained writes it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--model {model}: {path} cannot be read: {error}") from None


def _check_weights(model: str, folder: Path) -> None:
    try:
        weight_files.check(folder)
    except weight_files.WeightsError as error:
        raise InputError(
            f"--model {model}: {error}; get it as safetensors, or use --weights random"
        ) from None
