"""The screen of a live run, recorded unless told otherwise; without a model, the start screen."""

from __future__ import annotations

import sys

from llamatop.commands.desk import Desk
from llamatop.commands.ending import exit_code
from llamatop.commands.terminal import need_terminal
from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.pump import Pump
from llamatop.session import Session
from llamatop.tui.app import LlamatopApp, run_app
from llamatop.tui.controls import Idle, Live, Stage


def watch(
    config: RunConfig, desk: Desk, choose: bool, theme: str | None, verbose: bool = False
) -> int:
    """Show a run, or let a person choose one, until they leave; the exit code.

    `verbose` tells afterwards what the libraries of the last engine printed. Raises InputError
    where what was asked for cannot run.
    """
    need_terminal("llamatop --record runs without one")
    stage = Stage(Pump(Idle(), Session())) if choose else desk.run(config)
    app = LlamatopApp(
        stage.pump, live=stage.live, launcher=desk, start_defaults=config, theme=theme
    )
    try:
        code = run_app(app)
    finally:
        desk.close()
        finish(desk, app.stage)
    for line in desk.kept:
        print(line, file=sys.stderr)
    if verbose:
        _print_log(app.live)
    refused = app.pump.session.refused
    if app.changing.refusal is not None:
        raise app.changing.refusal
    if refused is not None:
        raise InputError(refused)
    return code or (exit_code(app.pump.session) if app.live is not None else 0)


def finish(desk: Desk, stage: Stage) -> None:
    """Finish what the screen left; a run that was refused leaves no recording."""
    if (recorder := stage.release()) is not None:
        desk.finish(recorder, stage.worth_keeping)


def _print_log(live: Live | None) -> None:
    from llamatop.commands.show import print_log
    from llamatop.live import LiveRun

    if isinstance(live, LiveRun):
        print_log(live.printed)
