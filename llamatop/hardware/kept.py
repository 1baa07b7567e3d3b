"""What was learnt on this machine and is kept in its cache folder: where, and how."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def cache_folder() -> Path:
    """Where what was measured on this machine is kept."""
    if folder := os.environ.get("LLAMATOP_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_path  # noqa: PLC0415  (a command may not need it)

    return Path(user_cache_path("llamatop"))


def keep(path: Path, body: bytes) -> None:
    """Write a file whole or not at all; a folder that cannot be written only costs time."""
    partial = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(body)
        partial.replace(path)


def version_of(name: str) -> str:
    """The version of a package, whose figures hold for no other."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
