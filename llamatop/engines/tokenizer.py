"""The tokenizer that lies in a model's folder. Executes no code that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer


def load_tokenizer(folder: Path | None) -> Tokenizer | None:
    """The tokenizer in a model's folder, an older format converted; None if it has none."""
    if folder is None:
        return None
    if (folder / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    return getattr(_of_transformers(folder), "backend_tokenizer", None)


def chat_of(folder: Path | None) -> Any:
    """transformers' tokenizer of that folder, where it has a chat template; else None."""
    tokenizer = None if folder is None else _of_transformers(folder)
    return tokenizer if getattr(tokenizer, "chat_template", None) else None


def _of_transformers(folder: Path) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError):
        return None
