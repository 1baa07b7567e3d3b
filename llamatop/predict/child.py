"""Asks one question of a child process that may import what this one must not. JSON both ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from llamatop.errors import InputError
from llamatop.predict.traced import Refusal

_ROOT = Path(__file__).resolve().parent.parent.parent
_CODE = """
import gc, os, sys
gc.disable()  # what is imported stays, and looking at it takes half a second
sys.path.append({root!r})
from llamatop.predict.orphan import end_with
end_with({parent})
from {module} import main
gc.freeze()
gc.enable()
main()
os._exit(0)  # taking all that apart takes a quarter of a second
"""
SECONDS = 120.0
"""An answer takes a few; where much else runs, or libraries come from a slow disk, a minute."""
_LAST = 300
"""Characters kept of a child's last line, where it failed."""

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
"""The child's environment on top of ours: it has all it needs in its question."""

Answer = TypeVar("Answer")


def ask(module: str, question: Any, answer: type[Answer], seconds: float = SECONDS) -> Answer:
    """What `main()` of that module writes on stdout when it reads `question` on stdin.

    The child ends with this process.

    Raises InputError when it refuses, fails or takes longer than `seconds`.
    """
    code = _CODE.format(root=str(_ROOT), parent=os.getpid(), module=module)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            input=msgspec.json.encode(question),
            capture_output=True,
            env={**os.environ, **QUIET},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{module} gives no answer within {seconds:g} s, as on a busy machine, or of a model "
            "that loops long; try shorter prompts, or run it to measure it"
        ) from None
    if done.returncode != 0:
        raise InputError(f"{module} failed: {_last_line(done.stderr) or done.returncode}")
    result = msgspec.json.decode(done.stdout, type=answer | Refusal)
    if isinstance(result, Refusal):
        raise InputError(result.error)
    return cast("Answer", result)


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:_LAST] if lines else ""
