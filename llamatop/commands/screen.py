"""The screen until it is left, whatever it was opened for, and what is answered after it."""

from __future__ import annotations

import sys

from llamatop.commands.desk import Desk
from llamatop.errors import InputError
from llamatop.run.controls import Live
from llamatop.session.reducer import Session
from llamatop.tui.app import LlamatopApp, run_app


def show(app: LlamatopApp, desk: Desk, verbose: bool = False) -> int:
    """Show the screen, finish what it left, and tell where its recordings are; the exit code.

    The code is a signal's, else 1 where one of the runs that were shown failed. `verbose` tells
    what the libraries of the last engine, and of this process, printed. Raises InputError where
    the last run cannot be.
    """
    try:
        code, written = run_app(app)
    finally:
        desk.close()
        if app.stage.replay is not None:
            app.stage.replay.close()
        if (recorder := app.stage.release()) is not None:
            desk.finish(recorder, app.stage.worth_keeping)
    measured = left_of(app.pump.session) if app.live is not None else []
    for line in [*measured, *desk.kept]:
        print(line, file=sys.stderr)
    session = app.pump.session
    _print_log(app.live, written if verbose else None, session)
    if app.changing.refusal is not None:
        raise app.changing.refusal
    if session.refused is not None and app.live is not None:
        raise InputError(session.refused)
    if app.live is not None:
        desk.ended(session)
    return code or (1 if desk.failed else 0)


def left_of(session: Session) -> list[str]:
    """What was measured, in sentences; nothing where no level ran."""
    if session.model is None or not session.levels:
        return []
    from llamatop.reports.outcome import outcome_line
    from llamatop.reports.run_text import headline
    from llamatop.run.headless import level_line

    levels = [level_line(session, level) for level in session.levels.values()]
    some = any(level.forgotten for level in session.levels.values())
    lines = [outcome_line(session), headline(session), *levels]
    return [*lines, "(of the newest requests; llamatop show counts all)"] if some else lines


def _print_log(live: Live | None, written: list[str] | None, session: Session) -> None:
    """What this process wrote, the engine and the server; `written` is None where nobody asks."""
    from llamatop.commands.ending import lost_server
    from llamatop.commands.show import print_log
    from llamatop.run.live import LiveRun

    print_log(written or [], "llamatop")
    if isinstance(live, LiveRun):
        print_log(live.printed if written is not None else [])
        print_log(live.server_printed if lost_server(session) else [], "server")
