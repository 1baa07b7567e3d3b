"""What can be run here: the bundled model, those in the Hugging Face cache, the built-in ones, and
GGUF files, which llama.cpp runs.

Looks at files only; asks no network and loads nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamatop.catalog import demo_folder, find, known_models

FOLDERS = "LLAMATOP_MODELS"
"""Environment variable: folders of models, or that are one, as in PATH."""
GGUF = "gguf"
"""The source of files that llama.cpp runs."""
RUN_BY = "llama.cpp runs it: llamatop --serve llama.cpp --model {model}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One model that can be named after `--model`. Sizes in bytes and tokens."""

    model: str
    source: str
    """`bundled`, `downloaded`, `gguf`, or `built-in` (its architecture, with random weights)."""
    parameters: int | None
    weights_bytes: int | None
    context: int | None
    unreadable: str = ""
    """Why not even its architecture is known, where its files say so; of GGUF, what runs it."""
    incomplete: str = ""
    """Why its trained weights cannot be loaded."""

    def problem(self, weights: str) -> str:
        """Why it cannot run with such weights, as far as its files tell; or nothing."""
        return self.unreadable or ("" if weights == "random" else self.incomplete)


def choices() -> list[Choice]:
    """Every model that can be named, the ones with weights first."""
    here = [_folder("demo", "bundled", demo_folder())]
    here += [_folder(name, "downloaded", folder) for name, folder in _downloaded()]
    names = {choice.model for choice in here}
    known = [
        Choice(model.id, "built-in", model.parameters, model.parameters * 2, model.context)
        for model in known_models()
        if model.id not in names
    ]
    return here + ggufs(given_folders()) + known


def given_folders() -> list[Path]:
    """`models` here, and what the environment names."""
    given = os.environ.get(FOLDERS, "").split(os.pathsep)
    return [Path("models"), *(Path(name).expanduser() for name in given if name)]


def ggufs(folders: Iterable[Path]) -> list[Choice]:
    """The GGUF files in some folders, and in the folders in those."""
    found = [file for folder in folders for file in _gguf_files(folder)]
    return [gguf(file) for file in dict.fromkeys(found)]


def gguf(file: Path) -> Choice:
    """A GGUF file; of one that cannot be read, why."""
    from llamatop.catalog.gguf import GgufError, read  # noqa: PLC0415  (not for the first paint)

    try:
        told = read(file)
    except GgufError as error:
        return Choice(str(file), GGUF, None, None, None, unreadable=str(error))
    context = told.of("context_length")
    return Choice(
        str(file),
        GGUF,
        sum(one.numbers for one in told.tensors),
        sum(told.stored_by_type.values()),
        context if isinstance(context, int) else None,
        unreadable=RUN_BY.format(model=file),
    )


def _gguf_files(folder: Path) -> list[Path]:
    from llamatop.catalog.gguf import models_in  # noqa: PLC0415  (not for the first paint)

    inner = [path for path in _found(folder, "*") if path.is_dir()]
    files = [file for place in (folder, *inner) for file in models_in(place)]
    return [file for file in files if not file.name.startswith("mmproj")]


def _folder(model: str, source: str, folder: Path) -> Choice:
    """What a folder with a model says of itself."""
    text = _text_config(folder / "config.json")
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    known = find(model)
    parameters = known.parameters if known else _parameters(folder)
    return Choice(model, source, parameters, weights, text.get("max_position_embeddings"))


def _text_config(path: Path) -> dict[str, Any]:
    """The language model's part of a config; of a broken one, nothing."""
    try:
        config = json.loads(path.read_text())
        text = config.get("text_config", config)
    except (OSError, ValueError, AttributeError):
        return {}
    return text if isinstance(text, dict) else {}


def _parameters(folder: Path) -> int | None:
    """Parameters by the headers of the safetensors files, where those can be read."""
    try:
        return sum(_tensor_elements(file) for file in folder.glob("*.safetensors")) or None
    except (OSError, ValueError, KeyError):
        return None


def _tensor_elements(file: Path) -> int:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > 100_000_000:
            raise ValueError(f"{file.name}: no safetensors header")
        header = json.loads(opened.read(length))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            elements = 1
            for dimension in tensor["shape"]:
                elements *= dimension
            total += elements
    return total


def _downloaded() -> list[tuple[str, Path]]:
    """Models with weights in the Hugging Face cache that can be read: (id, folder)."""
    found: dict[str, Path] = {}
    for snapshot in _found(_cache(), "models--*/snapshots/*"):
        name = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/")
        if _found(snapshot, "config.json") and _found(snapshot, "*.safetensors"):
            found.setdefault(name, snapshot)
    return list(found.items())


def _found(folder: Path, pattern: str) -> list[Path]:
    """What is there, in order; in a folder that cannot be read there is nothing."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _cache() -> Path:
    """The cache's folder, by the Hub's own rules."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
