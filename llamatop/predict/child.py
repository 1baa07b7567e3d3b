"""Asks one question of a child process that may import what this one must not. JSON both ways."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
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


class Asker(threading.Thread):
    """A thread whose questions can be taken back, by another one."""

    def __init__(self, target: Callable[[], object]) -> None:
        super().__init__(target=target, name="asker", daemon=True)
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._over = False

    def take_back(self) -> None:
        """End the child that is asked now, and each that would be later; returns at once."""
        with self._lock:
            self._over = True
            if self._child is not None:
                self._child.kill()

    def asks(self, child: subprocess.Popen[bytes] | None) -> None:
        """That is the child whose answer it waits for; None: it has ended."""
        with self._lock:
            self._child = child
            if self._over and child is not None:
                child.kill()


def ask(module: str, question: Any, answer: type[Answer], seconds: float = SECONDS) -> Answer:
    """What `main()` of that module writes on stdout when it reads `question` on stdin.

    The child ends with this process.

    Raises InputError when it refuses, fails or takes longer than `seconds`.
    """
    code = _CODE.format(root=str(_ROOT), parent=os.getpid(), module=module)
    command = [sys.executable, "-P", "-c", code]
    said, problem, status = _exchange(command, msgspec.json.encode(question), module, seconds)
    if status != 0:
        raise InputError(f"{module} failed: {_last_line(problem) or status}")
    result = msgspec.json.decode(said, type=answer | Refusal)
    if isinstance(result, Refusal):
        raise InputError(result.error)
    return cast("Answer", result)


def _exchange(
    command: list[str], question: bytes, module: str, seconds: float
) -> tuple[bytes, bytes, int]:
    """What the child writes on stdout and stderr, and its exit code; it ends in any case."""
    thread = threading.current_thread()
    asker = thread if isinstance(thread, Asker) else None
    pipe = subprocess.PIPE
    environment = {**os.environ, **QUIET}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as child:
        if asker is not None:
            asker.asks(child)
        try:
            said, problem = child.communicate(question, seconds)
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{module} gives no answer within {seconds:g} s, as on a busy machine, or of a "
                "model that loops long; try shorter prompts, or run it to measure it"
            ) from None
        finally:
            child.kill()
            if asker is not None:
                asker.asks(None)
    return said, problem, child.returncode


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:_LAST] if lines else ""
