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
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from llamatop.engines.resolve import Source, text_config
from llamatop.errors import InputError

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
    if source.folder is None:
        raw.pop("quantization_config", None)
    config = _config(source.model, raw)
    whole = int(config.get_text_config(decoder=True).num_hidden_layers)
    kept = whole if layers is None else layers
    if kept > whole:
        raise InputError(f"--layers {kept}: {source.model} has {whole}")
    if kept < whole:
        config = _config(source.model, _cut(raw, config, whole, kept))
    return Layout(
        config=config,
        kind=_class(source.model, config),
        dtype=_stored_dtype(source.architecture),
        layers=kept,
        whole_layers=whole,
        special_ids=frozenset(_special_ids(raw)),
    )


def _stored_dtype(raw: dict[str, Any]) -> torch.dtype:
    """What `config.json` says of the checkpoint's dtype; quantized ones compute in bfloat16."""
    parts = (raw, text_config(raw))
    names = [part[key] for part in parts for key in ("dtype", "torch_dtype") if part.get(key)]
    usual = torch.bfloat16 if "quantization_config" in raw else torch.float32
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
        return CONFIG_MAPPING[kind].from_dict(copy.deepcopy(raw))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--model {model}: config.json is not usable: {reason}") from error


def _cut(raw: dict[str, Any], config: Any, whole: int, kept: int) -> dict[str, Any]:
    """The same `config.json` with its first `kept` layers; lists of one entry a layer are cut."""
    raw = copy.deepcopy(raw)
    text = text_config(raw)
    names = config.get_text_config(decoder=True).attribute_map
    for key, value in text.items():
        if isinstance(value, list) and len(value) == whole:
            text[key] = value[:kept]
    text[names.get("num_hidden_layers", "num_hidden_layers")] = kept
    return raw


def _class(model: str, config: Any) -> Any:
    """The class that `config.json` names, or the usual one of its type."""
    name = next(iter(config.architectures or ()), None)
    kind = getattr(transformers, name, None) if name else None
    if kind is None and type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        kind = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    if kind is None or config.is_encoder_decoder or not kind.can_generate():
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
