"""A run on the screen, recorded unless told otherwise."""

from __future__ import annotations

from llamatop.commands.show import need_terminal, show
from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.live import LiveRun
from llamatop.pump import Pump
from llamatop.session import Session

KEPT_REQUESTS = 10_000
"""Requests that the screen of an endless run remembers; the recording has them all."""


def watch(
    config: RunConfig, out: str | None, save: bool, keep_text: bool, theme: str | None
) -> int:
    """Show a run until the person leaves; the exit code."""
    need_terminal("llamatop --record runs without one")
    live = LiveRun(config)
    pump = Pump(live, Session(keep=KEPT_REQUESTS))
    recorder = None
    if save:
        from llamatop.recording.place import default_path
        from llamatop.recording.writer import Recorder

        recorder = Recorder(out or str(default_path(config.model)), keep_text)
        pump.sinks.append(recorder)
    code = show(pump, live=live, recorder=recorder, theme=theme)
    refused = pump.session.refused
    if recorder is not None:
        recorder.close() if refused is None else recorder.discard()
    if refused is not None:
        raise InputError(refused)
    return code
