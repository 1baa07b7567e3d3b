"""How a session is handed to a person on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from llamatop.events.sanitize import one_line
from llamatop.reports.serving import servers_text
from llamatop.reports.summary import summary, table
from llamatop.reports.watching import watch_summary
from llamatop.session.reducer import Session


def print_log(lines: Sequence[str]) -> None:
    """What the libraries of a run's processes printed, on stderr."""
    for line in lines:
        print(f"engine: {line}", file=sys.stderr)


def print_summary(as_json: bool, session: Session, path: str | None, whole: bool = True) -> None:
    """The summary of a session on stdout; `path` is its recording, if there is one, and `whole`."""
    started = session.started
    watch = started is not None and started.config.engine == "attach"
    if as_json:
        told = watch_summary if watch else summary
        print(json.dumps(told(session, path, whole), indent=1))
    else:
        cut = "" if whole or path is None else ", cut off"
        text = servers_text(session, None) if watch else table(session)
        print(f"{text}\n\nrecording: {one_line(path or 'none')}{cut}")
