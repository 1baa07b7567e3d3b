"""How a session is handed to a person on stdout, and whether there is a terminal for a screen."""

from __future__ import annotations

import json
import sys

from llamatop.errors import InputError
from llamatop.reports.summary import summary, table
from llamatop.session import Session


def print_summary(as_json: bool, session: Session, path: str | None) -> None:
    """The summary of a session on stdout; `path` is its recording, if there is one."""
    if as_json:
        print(json.dumps(summary(session, path), indent=1))
    else:
        print(f"{table(session)}\n\nrecording: {path or 'none'}")


def need_terminal(instead: str) -> None:
    """Raise InputError where no screen can be shown; `instead` says what works there."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"the screen needs a terminal on stdin and stdout; {instead}")
