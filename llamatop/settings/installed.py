"""What a light installation lacks: the libraries that run a model in this process."""

from __future__ import annotations

import importlib.util

from llamatop.errors import InputError

ENGINES = ("torch", "transformers", "accelerate")
"""What every engine of this process imports."""

TESTED = {"torch": "torch==2.13.0", "transformers": "transformers==5.23.0"}
"""The versions of `constraints.txt`, which a light installation may not have."""


def missing() -> str:
    """What to do so that a model can run here; empty: it is all installed."""
    absent = [name for name in ENGINES if importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    named = f"{', '.join(absent[:-1])} and {absent[-1]}" if absent[1:] else absent[0]
    are = "are" if absent[1:] else "is"
    wanted = " ".join(TESTED.get(name, name) for name in absent)
    return f"needs {named}, which {are} not installed: pip install {wanted}"


def need(what: str) -> None:
    """Raise InputError, in a line that begins with `what`, where those are not installed."""
    if told := missing():
        raise InputError(f"{what}: {told}")
