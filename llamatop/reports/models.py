"""What can be run here: the bundled model, those in the Hugging Face cache, the built-in ones.

Looks at files only; asks no network and loads nothing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamatop.catalog import demo_folder, find, known_models


@dataclass(frozen=True, slots=True)
class Choice:
    """One model that can be named after `--model`. Sizes in bytes and tokens."""

    model: str
    source: str
    """`bundled`, `downloaded`, or `built-in` (its architecture, with random weights)."""
    parameters: int | None
    weights_bytes: int | None
    context: int | None
    unreadable: str = ""
    """Why not even its architecture is known, where its files say so."""
    incomplete: str = ""
    """Why its trained weights cannot be loaded."""

    def problem(self, weights: str) -> str:
        """Why it cannot run with such weights, as far as its files tell; or nothing."""
        return self.unreadable or ("" if weights == "random" else self.incomplete)

    @property
    def options(self) -> str:
        """What to type to run it."""
        random = " --weights random" if self.source == "built-in" else ""
        return f"--model {self.model}{random}"


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
    return here + known


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
    """Models with weights in the Hugging Face cache: (id, folder)."""
    found = []
    for repository in sorted(_cache().glob("models--*")):
        name = repository.name.removeprefix("models--").replace("--", "/")
        for snapshot in sorted((repository / "snapshots").glob("*")):
            if (snapshot / "config.json").exists() and any(snapshot.glob("*.safetensors")):
                found.append((name, snapshot))
                break
    return found


def _cache() -> Path:
    """The cache's folder, by the Hub's own rules."""
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE", f"{home}/hub")).expanduser()
