"""The child's side of `child.ask`: one question, one answer, an end when nobody waits for it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from llamatop.errors import InputError
from llamatop.predict.traced import Refusal

LOOK_SECONDS = 0.25
"""How often it looks whether its parent is still there, where the system does not tell."""

_PDEATHSIG = 1
"""Of prctl, in linux/prctl.h."""

Question = TypeVar("Question")


def end_with(parent: int) -> None:
    """End this process with process `parent`, which started it, whatever it computes.

    On Linux the kernel does, even to one that is stopped; elsewhere a thread does, soon after.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PDEATHSIG, int(signal.SIGKILL))
    threading.Thread(target=_watch, args=(parent,), name="orphan", daemon=True).start()


def reply(question: type[Question], answer: Callable[[Question], msgspec.Struct]) -> None:
    """Answer what stdin asks, on what was stdout: whatever is printed meanwhile goes to stderr.

    An InputError becomes a refusal.
    """
    out = os.dup(1)
    os.dup2(2, 1)
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=question)
    try:
        said = answer(asked)
    except InputError as refusal:
        said = Refusal(str(refusal))
    with os.fdopen(out, "wb") as pipe:
        pipe.write(msgspec.json.encode(said))


def _watch(parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(LOOK_SECONDS)
    os._exit(1)
