"""What the libraries of an engine take of this machine's memory, as the tracer last measured it.

Kept beside the roofs, so that a screen that asks no tracer can say the same as `check`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from llamatop.hardware.kept import cache_folder, version_of

_LIBRARIES = ("torch", "transformers", "tokenizers")
_LIKELY = range(64 * 2**20, 8 * 2**30)


def remember_runtime(size: int | None) -> None:
    """Keep what was measured; a folder that cannot be written loses it."""
    if size is None or size == recalled_runtime():
        return
    with suppress(OSError):
        _path().parent.mkdir(parents=True, exist_ok=True)
        _path().write_text(str(size))
    recalled_runtime.cache_clear()


@cache
def recalled_runtime() -> int | None:
    """Bytes; None where it was never measured with these versions."""
    try:
        size = int(_path().read_text())
    except (OSError, ValueError):
        return None
    return size if size in _LIKELY else None


def _path() -> Path:
    names = "-".join(version_of(name) for name in _LIBRARIES)
    return cache_folder() / f"runtime-{sys.version_info[0]}.{sys.version_info[1]}-{names}"
