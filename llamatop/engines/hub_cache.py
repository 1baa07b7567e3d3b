"""Where the Hub's cache keeps a model. Looks into no file and asks no network."""

from __future__ import annotations

from pathlib import Path


def hub_folder(model: str) -> Path:
    """Where the Hub's cache keeps all of a model, if it has any of it."""
    from huggingface_hub import constants  # noqa: PLC0415  (a run of a local model need not)

    return Path(constants.HF_HUB_CACHE, f"models--{model.replace('/', '--')}")
