"""Whether there is a terminal for a screen."""

from __future__ import annotations

import os
import sys

from llamatop.errors import InputError


def need_terminal(instead: str) -> None:
    """Raise InputError where no screen can be shown; `instead` says what works there."""
    if not has_terminal():
        raise InputError(f"the screen needs a terminal on stdin and stdout; {instead}")


def has_terminal() -> bool:
    """Whether stdin and stdout are a terminal, or Textual is told what is there instead."""
    return "TEXTUAL_DRIVER" in os.environ or (sys.stdin.isatty() and sys.stdout.isatty())
