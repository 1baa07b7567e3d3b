"""`llamatop show FILE…`: what is in recordings and how they ended; how a session is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from llamatop.commands.parser import Parser
from llamatop.events.sanitize import one_line
from llamatop.reports.outcome import outcome_line
from llamatop.reports.serving import servers_text, watch_summary
from llamatop.reports.summary import SCHEMA, summary, table
from llamatop.session.reducer import Session


def main(arguments: list[str]) -> int:
    """Show recordings as text; the exit code."""
    parser = Parser(prog="llamatop show", description="What is in a recording, and how it ended: "
        "the summary of its run, or a line each of several.")  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args(arguments)
    from llamatop.recording.reader import fold_recording

    sessions = []
    for file in args.files:
        folded = fold_recording(file)
        for notice in folded.notices:
            print(f"llamatop: {notice}", file=sys.stderr)
        sessions.append((file, folded.session))
    if len(sessions) == 1:
        print_summary(args.json, sessions[0][1], sessions[0][0])
    elif args.json:
        runs = [told(session, file) for file, session in sessions]
        print(json.dumps({"schema": SCHEMA, "runs": runs}, indent=1))
    else:
        print("\n".join(line(session, file) for file, session in sessions))
    return 0


def print_log(lines: Sequence[str]) -> None:
    """What the libraries of a run's processes printed, on stderr."""
    for text in lines:
        print(f"engine: {text}", file=sys.stderr)


def print_summary(
    as_json: bool,
    session: Session,
    path: str | None,
    whole: bool = True,
    error: str | None = None,
) -> None:
    """The summary of a session on stdout; `path` is its recording, if there is one, and `whole`.

    `error` says why the command failed where the session itself does not.
    """
    if as_json:
        print(json.dumps(told(session, path, whole, error), indent=1))
        return
    cut = "" if whole or path is None else ", cut off"
    text = servers_text(session, None) if _is_watch(session) else table(session)
    print(f"{text}\n\nrecording: {one_line(path or 'none')}{cut}")


def told(
    session: Session, path: str | None, whole: bool = True, error: str | None = None
) -> dict[str, object]:
    """The JSON object of a run or of a watch."""
    if _is_watch(session):
        return watch_summary(session, path, whole)
    return summary(session, path, whole, error)


def line(session: Session, path: str) -> str:
    """A recording in one line: its file, what ran, how it ended."""
    ended = outcome_line(session)
    ran = [
        session.model_name or "unknown model",
        *([session.model.engine] if session.model else []),
    ]
    if _is_watch(session):
        ran, ended = ["a watch of servers"], "" if session.ended else "cut off"
    return one_line(": ".join(filter(None, [Path(path).name, ", ".join(ran), ended])))


def _is_watch(session: Session) -> bool:
    return session.started is not None and session.started.config.engine == "attach"
