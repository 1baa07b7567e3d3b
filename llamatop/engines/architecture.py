"""The shape of a model as transformers understands it: its class, its layers, its dtype.

Reads a `config.json` already in memory; loads no weights and runs no code that comes with one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
)

from llamatop.engines import config_file
from llamatop.engines.resolve import Source, text_config
from llamatop.errors import InputError

_GENERATE = (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
)
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Layout:
    """What is going to be built."""

    config: Any
    """The transformers configuration, cut to `layers`."""
    kind: Any
    """The model's class."""
    dtype: torch.dtype
    """In which the checkpoint is stored."""
    layers: int
    whole_layers: int
    special_ids: frozenset[int]
    """Token ids that the architecture gives a meaning."""

    @property
    def text(self) -> Any:
        """The configuration of the language model."""
        return self.config.get_text_config(decoder=True)


def read(source: Source, layers: int | None = None) -> Layout:
    """The layout of `source`, its first `layers` layers if given; InputError if it cannot run."""
    raw = dict(source.architecture)
    if source.folder is None or not raw.get("quantization_config"):
        raw.pop("quantization_config", None)
    config = _config(source.model, raw)
    whole = depth(config.get_text_config(decoder=True))
    kept = whole if layers is None else layers
    if kept > whole:
        raise InputError(f"--layers {kept}: {source.model} has {whole}")
    if kept < whole:
        config = _config(source.model, _cut(raw, config, whole, kept))
        if depth(config.get_text_config(decoder=True)) != kept:
            raise InputError(
                f"--layers {kept}: how {source.model} is cut to so many layers is not known; "
                "leave it out"
            )
    return Layout(
        config=config,
        kind=_class(source.model, config),
        dtype=stored_dtype(source),
        layers=kept,
        whole_layers=whole,
        special_ids=frozenset(_special_ids(raw)),
    )


def depth(text: Any) -> int:
    """Layers of a language model, from its configuration."""
    return int(text.num_hidden_layers)


def stored_dtype(source: Source) -> torch.dtype:
    """What `config.json` says of the checkpoint's dtype; quantized ones compute in bfloat16."""
    raw = source.architecture
    parts = (raw, text_config(raw))
    names = [part[key] for part in parts for key in ("dtype", "torch_dtype") if part.get(key)]
    usual = torch.bfloat16 if source.quantization else torch.float32
    return _DTYPES.get(str(names[0]), usual) if names else usual


def _config(model: str, raw: dict[str, Any]) -> Any:
    kind = raw.get("model_type")
    if kind not in CONFIG_MAPPING:
        code = " and wants to run code of its own" if "auto_map" in raw else ""
        raise InputError(
            f"--model {model}: its type {kind!r} is none that transformers "
            f"{transformers.__version__} knows{code}; use a model that it knows"
        )
    try:
        return CONFIG_MAPPING[kind].from_dict(config_file.untagged(copy.deepcopy(raw)))
    except Exception as error:
        reason = " ".join(str(error).split()) or f"transformers raises {type(error).__name__} at it"
        raise InputError(f"--model {model}: config.json is not usable: {reason}") from error


def _cut(raw: dict[str, Any], config: Any, whole: int, kept: int) -> dict[str, Any]:
    """The same `config.json` with its first `kept` layers; what has an entry a layer is cut."""
    raw = copy.deepcopy(raw)
    text = text_config(raw)
    names = config.get_text_config(decoder=True).attribute_map
    for key, value in text.items():
        a_layer_each = isinstance(value, list) or (isinstance(value, str) and "pattern" in key)
        if a_layer_each and len(value) == whole:
            text[key] = value[:kept]
        elif isinstance(value, dict) and set(value) == set(map(str, range(whole))):
            text[key] = {str(layer): value[str(layer)] for layer in range(kept)}
    if shared := text.get("num_kv_shared_layers"):  # the last ones are those that share
        text["num_kv_shared_layers"] = max(shared - (whole - kept), 0)
    text[names.get("num_hidden_layers", "num_hidden_layers")] = kept
    return raw


def _class(model: str, config: Any) -> Any:
    """The class that `config.json` names, or the usual one of its type."""
    name = next(iter(config.architectures or ()), None)
    kind = getattr(transformers, name, None) if name else None
    kind = kind or next((one[type(config)] for one in _GENERATE if type(config) in one), None)
    decodes = kind is not None and kind.__name__.endswith("ForCausalLM")
    if kind is None or (config.is_encoder_decoder and not decodes) or not kind.can_generate():
        raise InputError(
            f"--model {model}: {name or config.model_type} does not generate text token by token; "
            "use a decoder such as Llama, Qwen or gpt-oss"
        )
    return kind


def _special_ids(raw: dict[str, Any]) -> set[int]:
    """Every id that `config.json` names, also in its parts."""
    found: set[int] = set()
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= _special_ids(value)
        elif key.endswith(("_token_id", "_token_index", "_token_ids")):
            ids = value if isinstance(value, list) else [value]
            found |= {id for id in ids if isinstance(id, int)}
    return found
