"""The tokenizer that lies in a model's folder. Executes no code that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line


def load_tokenizer(folder: Path | None) -> Tokenizer | None:
    """The tokenizer in a model's folder, an older format converted; None if it has none.

    Raises InputError where it is damaged.
    """
    if folder is None:
        return None
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises no narrower kind
            raise InputError(
                f"{path} cannot be read: {one_line(str(error))}; get it anew"
            ) from None
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
    except Exception as error:  # of tables that make no tokenizer it raises whatever it met
        raise InputError(
            f"the tokenizer in {folder} cannot be read: {one_line(str(error))}"
        ) from None
