"""Why an engine was lost, where memory was the reason. Knows its last words, no process."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.settings.config import RunConfig
from llamatop.text.formatting import size

_WORDS = ("out of memory", "bad_alloc", "allocate memory", "memoryerror", "no memory left")
"""What libraries say, in lower case, when an allocation failed; an abort follows, or an error."""
_THREADS = ("start new thread", "thread creation failed")
"""What they say where a limit of memory leaves no room for a thread's stack."""


def memory_loss(
    config: RunConfig, reason: str, printed: Sequence[str], loading: bool
) -> str | None:
    """One line that memory ended the engine, and which limit it had; None: something else did.

    `printed` are its last lines: a library that aborts tells why some lines before its end.
    """
    aborted = reason.startswith("killed by SIGABRT")
    said = "\n".join([reason, *(printed if aborted else ())]).lower()
    words = _WORDS if config.memory is None else _WORDS + _THREADS
    if not any(word in said for word in words):
        return None
    doing = "loading the model" if loading else "the level"
    if config.memory is not None:
        return f"out of memory: the limit of {size(config.memory)} (--memory) ended {doing}"
    return reason if "out of memory" in reason else f"out of memory: {reason}"
