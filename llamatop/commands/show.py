"""`llamatop show FILE…`: what is in recordings and how they ended; how a session is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llamatop.commands.parser import Parser
from llamatop.commands.salvaging import add_salvage, salvage_all
from llamatop.events.sanitize import one_line
from llamatop.reports.outcome import outcome_line
from llamatop.reports.run_text import table
from llamatop.reports.serving import servers_text
from llamatop.reports.summary import SCHEMA, summary
from llamatop.reports.watching import watch_summary
from llamatop.session.reducer import Session


class Shown(NamedTuple):
    """A session to be shown; `path` is its recording, if there is one, and `whole`."""

    session: Session
    path: str | None
    whole: bool = True
    error: str | None = None
    """Why the command failed where the session itself does not."""
    growing: bool = False
    """Whether there will be more."""


_EXAMPLES = """\
  llamatop show run.parquet
  llamatop show before.parquet after.parquet     # a line each
  llamatop show run.parquet --json
"""


def command_line() -> Parser:
    """What it can be asked."""
    parser = Parser(
        prog="llamatop show",
        examples=_EXAMPLES,
        description="What is in a recording, and how it ended: the summary of its run, or a line "
        "each of several.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    add_salvage(parser)
    return parser


def main(arguments: list[str]) -> int:
    """Show recordings as text; the exit code."""
    args = command_line().parse_args(arguments)
    if args.salvage:
        salvage_all(args.files)
    from llamatop.recording.reader import fold_recording

    found = []
    for file in args.files:
        folded = fold_recording(file)
        for notice in folded.notices:
            print(f"llamatop: {notice}", file=sys.stderr)
        found.append(Shown(folded.session, file, folded.complete, growing=folded.growing))
    if len(found) == 1:
        print_summary(args.json, found[0])
    elif args.json:
        print_summaries(True, found)
    else:
        print("\n".join(line(one.session, str(one.path), one.growing) for one in found))
    return 0


def print_log(lines: Sequence[str], who: str = "engine") -> None:
    """What the libraries of a run's processes printed, or a server did, on stderr."""
    for text in lines:
        print(f"{who}: {text}", file=sys.stderr)


def print_summary(as_json: bool, one: Shown) -> None:
    """The summary of a session on stdout."""
    print(json.dumps(_told(one), indent=1) if as_json else _text(one))


def print_summaries(as_json: bool, runs: Sequence[Shown], more: Mapping[str, Any] = {}) -> None:
    """Several summaries on stdout: one JSON object, `more` beside its runs, or text after text."""
    if as_json:
        objects = [_told(run) for run in runs]
        print(json.dumps({"schema": SCHEMA, "runs": objects, **more}, indent=1))
    else:
        print("\n\n\n".join(_text(run) for run in runs))


def told(
    session: Session, path: str | None, whole: bool = True, error: str | None = None
) -> dict[str, object]:
    """The JSON object of a run or of a watch."""
    if _is_watch(session):
        return watch_summary(session, path, whole)
    return summary(session, path, whole, error)


def _told(one: Shown) -> dict[str, object]:
    return told(one.session, one.path, one.whole, one.error)


def line(session: Session, path: str, growing: bool = False) -> str:
    """A recording in one line: its file, what ran, how it ended."""
    ended = outcome_line(session, growing)
    ran = [
        session.model_name or "unknown model",
        *([session.model.engine] if session.model else []),
    ]
    if _is_watch(session):
        ran = ["a watch of servers"]
        ended = "" if session.ended else "still running" if growing else "cut off"
    return one_line(": ".join(filter(None, [Path(path).name, ", ".join(ran), ended])))


def _text(one: Shown) -> str:
    cut = "" if one.whole or one.path is None else ", cut off"
    cut = ", still being made" if one.growing else cut
    watch = _is_watch(one.session)
    text = servers_text(one.session, None) if watch else table(one.session, one.growing)
    return f"{text}\n\nrecording: {one_line(one.path or 'none')}{cut}"


def _is_watch(session: Session) -> bool:
    return session.started is not None and session.started.config.engine == "attach"
