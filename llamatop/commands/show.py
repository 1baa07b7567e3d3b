"""How a session is handed to a person: as JSON or a table on stdout, or as the screen."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from llamatop.errors import InputError
from llamatop.live import LiveRun
from llamatop.pump import Pump
from llamatop.replay import Replay
from llamatop.reports.summary import summary, table
from llamatop.session import Session

if TYPE_CHECKING:
    from llamatop.recording.writer import Recorder


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


def show(
    pump: Pump,
    *,
    live: LiveRun | None = None,
    replay: Replay | None = None,
    recorder: Recorder | None = None,
    theme: str | None = None,
) -> int:
    """The screen, until the person leaves it; the exit code."""
    from llamatop.tui.app import LlamatopApp, run_app

    app = LlamatopApp(pump, live=live, replay=replay, recorder=recorder, theme=theme)
    return run_app(app)
