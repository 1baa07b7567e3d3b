"""The screen of a live run, recorded unless told otherwise; without a model, the start screen."""

from __future__ import annotations

from llamatop.commands.desk import Desk
from llamatop.commands.screen import show
from llamatop.commands.terminal import need_terminal
from llamatop.run.controls import Idle, Stage
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.tui.app import LlamatopApp


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
    return show(app, desk, verbose)
