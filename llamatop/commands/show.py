"""How a session is handed to a person on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llamatop.events.sanitize import one_line
from llamatop.reports.serving import servers_text, watch_summary
from llamatop.reports.summary import SCHEMA, summary, table
from llamatop.session.reducer import Session


def print_log(lines: Sequence[str]) -> None:
    """What the libraries of a run's processes printed, on stderr."""
    for line in lines:
        print(f"engine: {line}", file=sys.stderr)


class Shown(NamedTuple):
    """A session to be shown; `path` is its recording, if there is one, and `whole`."""

    session: Session
    path: str | None
    whole: bool = True


def print_summary(as_json: bool, session: Session, path: str | None, whole: bool = True) -> None:
    """The summary of a session on stdout."""
    one = Shown(session, path, whole)
    print(json.dumps(_object(one), indent=1) if as_json else _text(one))


def print_summaries(as_json: bool, runs: Sequence[Shown], more: Mapping[str, Any] = {}) -> None:
    """Several summaries on stdout: one JSON object, `more` beside its runs, or text after text."""
    if as_json:
        told = {"schema": SCHEMA, "runs": [_object(run) for run in runs], **more}
        print(json.dumps(told, indent=1))
    else:
        print("\n\n\n".join(_text(run) for run in runs))


def _is_watch(session: Session) -> bool:
    return session.started is not None and session.started.config.engine == "attach"


def _object(one: Shown) -> dict[str, Any]:
    told = watch_summary if _is_watch(one.session) else summary
    return told(one.session, one.path, one.whole)


def _text(one: Shown) -> str:
    cut = "" if one.whole or one.path is None else ", cut off"
    text = servers_text(one.session, None) if _is_watch(one.session) else table(one.session)
    return f"{text}\n\nrecording: {one_line(one.path or 'none')}{cut}"
