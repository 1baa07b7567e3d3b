"""Traces kept in the cache folder: the same question of the same code has the same answer.

So a model is traced once, and `check` or a run that asks again has it in no time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from llamatop.hardware.host import host_facts
from llamatop.hardware.kept import cache_folder, keep, version_of
from llamatop.predict.traced import Ask, Trace

KEPT = 64
"""The latest traces; a few kB each."""

_LIBRARIES = ("torch", "transformers", "bitsandbytes", "kernels", "triton")
_CODE = ("predict", "engines")
"""The folders whose code makes a trace."""


def remembered(question: Ask) -> Trace | None:
    """What was answered before; None: never, or by other code."""
    try:
        return msgspec.json.decode(_path(question).read_bytes(), type=Trace)
    except (OSError, ValueError):
        return None


def remember(question: Ask, trace: Trace) -> None:
    """Keep an answer, and only the latest; a folder that cannot be written loses it."""
    path = _path(question)
    keep(path, msgspec.json.encode(trace))
    with suppress(OSError):
        by_age = sorted(path.parent.glob("trace-*.json"), key=lambda one: one.stat().st_mtime)
        for old in by_age[:-KEPT]:
            old.unlink()


def _path(question: Ask) -> Path:
    host = host_facts()
    made_by = [sys.version, platform.node(), host.cpu, host.cores, *map(version_of, _LIBRARIES)]
    asked = hashlib.sha256(msgspec.json.encode([made_by, _code(), question], order="sorted"))
    return cache_folder() / f"trace-{asked.hexdigest()[:24]}.json"


def _code() -> list[tuple[str, int, int]]:
    """Every module that has a part in it, with its size and age."""
    root = Path(__file__).resolve().parent.parent
    found = [entry for folder in _CODE for entry in os.scandir(root / folder) if entry.is_file()]
    return sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in found)
