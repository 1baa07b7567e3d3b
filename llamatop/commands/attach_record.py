"""`llamatop attach --record`: watched and recorded without a screen, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from llamatop.commands.show import Shown, print_summary
from llamatop.events.clock import SECOND
from llamatop.figures.serving import answers, combined, state_of
from llamatop.recording.default_path import default_path
from llamatop.recording.writer import Recorder
from llamatop.run.headless import Signals
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import host_of
from llamatop.text.formatting import clock, number, whole
from llamatop.watch.source import Watch

STEP_SECONDS = 0.25


def record(
    config: RunConfig,
    headers: Mapping[str, Mapping[str, str]],
    out: str | None,
    as_json: bool,
) -> int:
    """Watch to the end; 0, or 1 where no server ever told anything, or 128 and the signal."""
    path = out or str(default_path(f"attach-{host_of(config.urls[0])}"))
    recorder = Recorder(path)
    watch = Watch(config, headers)
    pump = Pump(watch, Session(), [recorder])
    with Signals() as signals:
        watch.start()
        while not watch.ended:
            if signals.caught is not None:
                watch.stop()
            time.sleep(STEP_SECONDS)
            pump.step()
            _progress(pump.session)
        watch.close()
        recorder.close()
    _progress(None)
    if recorder.error is not None:
        print(f"recording stopped: {recorder.error}", file=sys.stderr)
    kept = path if recorder.kept else None
    print_summary(as_json, Shown(pump.session, kept, recorder.error is None))
    if signals.caught is not None:
        return 128 + signals.caught
    told = any(server.was_up is not None for server in pump.session.watched.values())
    return 0 if told and recorder.error is None else 1


def _progress(session: Session | None) -> None:
    """One line on a terminal that is redrawn; None takes it away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + (_line(session) if session is not None else ""))
        sys.stderr.flush()


def _line(session: Session) -> str:
    up = [server for server in session.watched.values() if answers(server)]
    load = combined(up)
    states = [state_of(server, session.now) for server in session.watched.values()]
    text = f"{clock(session.now / SECOND)}: {len(up)} of {len(states)} servers answer"
    if load is None:
        return text
    return (
        f"{text}, {whole(load.running)} running, {whole(load.waiting)} waiting, "
        f"{number(load.generation_rate)} tok/s"
    )
