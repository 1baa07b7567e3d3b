"""Whether a `config.json` can be a text generator's at all, told before transformers is imported.

Reads the names of the installed transformers from its files as text. Passes whatever it is not
sure of: `architecture` looks again, at the classes themselves.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llamatop.errors import InputError

_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "hidden_dim", "embed_dim", "model_dim")
_DEPTHS = (
    *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "num_blocks"),
    *("layers_block_type", "layer_types", "hybrid_override_pattern"),
)
_SIZES = {
    **dict.fromkeys(_WIDTHS, 2**20),
    **dict.fromkeys(_DEPTHS[:6], 10_000),
    "vocab_size": 2**26,
    "intermediate_size": 2**24,
    "num_attention_heads": 2**16,
    "num_key_value_heads": 2**16,
    "head_dim": 2**16,
    "n_head": 2**16,
}
"""The most that each may be; no model comes near."""

_GENERATES = ("CausalLM", "ConditionalGeneration", "Text2Text")
_TALK = tuple(
    f"MODEL_FOR_{task}_MAPPING_NAMES"
    for task in ("IMAGE_TEXT_TO_TEXT", "CAUSAL_LM", "MULTIMODAL_LM")
)
_TASK = re.compile(r".*?For([A-Z]\w*)")


def check_architecture(model: str, raw: dict[str, Any]) -> None:
    """Raise InputError in one line where `raw` cannot be a model that generates token by token."""
    names = raw.get("architectures") or [""]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"--model {model}: architectures in config.json is no list of names")
    kind = raw.get("model_type")
    _check_kind(model, kind, "auto_map" in raw)
    if not _may_generate(raw, str(kind), names[0]):
        raise InputError(
            f"--model {model}: {names[0] or kind} does not generate text token by token; "
            "use a decoder such as Llama, Qwen or gpt-oss"
        )
    _check_class(model, str(kind), names[0], "auto_map" in raw)
    text = raw.get("text_config")
    if text is not None and not isinstance(text, dict):
        raise InputError(f"--model {model}: text_config in config.json is no object")
    _check_sizes(model, raw)
    _check_sizes(model, text or {})
    if not any(isinstance(part, dict) for name, part in raw.items() if name.endswith("_config")):
        _check_given(model, raw)


def _check_kind(model: str, kind: object, own_code: bool) -> None:
    if not isinstance(kind, str) or not kind:
        raise InputError(f"--model {model}: its config.json names no model_type")
    if (known := _listed("auto_mappings.py", "CONFIG_MAPPING_NAMES")) and kind not in known:
        code = " and wants to run code of its own" if own_code else ""
        raise InputError(
            f"--model {model}: its type {kind!r} is none that transformers {_version()} "
            f"knows{code}; use a model that it knows"
        )


def _check_class(model: str, kind: str, name: str, own_code: bool) -> None:
    """Code that comes with a model is never run; a class that is only spelt otherwise is known."""
    text = _text("modeling_auto.py")
    if not (own_code and name and text) or f'"{name}"' in text:
        return
    theirs = re.findall(rf'"{re.escape(kind)}", "(\w+)"', text)
    if _plain(name) not in map(_plain, theirs):
        raise InputError(
            f"--model {model}: {name} is code of its own, which llamatop does not run; "
            "use a model that transformers knows"
        )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _may_generate(raw: dict[str, Any], kind: str, name: str) -> bool:
    if name.endswith("ForCausalLM"):
        return True
    if raw.get("is_encoder_decoder"):
        return False
    if "LMHead" in name:
        return True
    task = _TASK.fullmatch(name)
    if task and not task[1].endswith(_GENERATES):
        return False
    if kind in _listed("modeling_auto.py", "MODEL_FOR_MASKED_LM_MAPPING_NAMES"):
        return bool(raw.get("is_decoder"))
    turns = kind in _listed("modeling_auto.py", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES")
    return not turns or any(kind in _listed("modeling_auto.py", names) for names in _TALK)


def _check_sizes(model: str, part: dict[str, Any]) -> None:
    for name, most in _SIZES.items():
        given = part.get(name)
        for size in given if isinstance(given, list) else [given]:
            if size is None or (size == 0 and isinstance(given, list)):
                continue
            if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= most:
                told = repr(size)[:40]
                raise InputError(
                    f"--model {model}: {name} in config.json is {told}; "
                    f"it must be a whole number from 1 to {most}"
                )


def _check_given(model: str, raw: dict[str, Any]) -> None:
    missing = [names[0] for names in (_WIDTHS, _DEPTHS) if not any(n in raw for n in names)]
    if missing:
        raise InputError(
            f"--model {model}: its config.json does not tell {' nor '.join(missing)}; "
            "give one as save_pretrained writes it"
        )


@cache
def _listed(file: str, mapping: str) -> frozenset[str]:
    """The model types that one of transformers' mappings has; empty where it cannot be read."""
    found: set[str] = set()
    names = [file, "configuration_auto.py"] if mapping == "CONFIG_MAPPING_NAMES" else [file]
    for text in map(_text, names):
        for part in re.findall(rf"^{mapping}\b.*?^\)", text, re.MULTILINE | re.DOTALL):
            found.update(re.findall(r'"([\w.-]+)"\s*[,:]\s*\(?\s*"', part))
        for part in re.findall(rf"^{mapping} = .*\{{.*$", text, re.MULTILINE):
            found.update(re.findall(r'"([\w.-]+)": "', part))
    return frozenset(found)


@cache
def _text(file: str) -> str:
    spec = importlib.util.find_spec("transformers")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    if folder is None:
        return ""
    try:
        return (Path(folder) / "models" / "auto" / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _version() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return ""
