"""Makes what the screen shows, runs with their recordings and replays: its `Launcher`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llamatop.children import Child
from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.live import LiveRun, warm_engine
from llamatop.predict.memory import Foretold
from llamatop.pump import Pump
from llamatop.recording.place import default_path
from llamatop.replay import Replay
from llamatop.sanitize import one_line
from llamatop.session import Session
from llamatop.tui.controls import Stage

KEPT_REQUESTS = 10_000
"""Requests that the screen of an endless run remembers; the recording has them all."""


class Desk:
    """One per screen. `out` is where the first run is recorded; later ones find their own place."""

    def __init__(self, out: str | None = None, save: bool = True, keep_text: bool = False) -> None:
        self._out = out
        self._save = save
        self._keep_text = keep_text
        self._warm: Child | None = None
        self.kept: list[str] = []
        """What became of each recording, for after the screen."""

    def run(self, config: RunConfig) -> Stage:
        """A run, not begun."""
        if self._save and self._out is not None and os.path.lexists(self._out):
            raise InputError(f"{one_line(self._out)} exists already; choose another name")
        scripted = config.engine == "scripted"
        engine, self._warm = (None if scripted else self._warm), None
        live = LiveRun(config, engine, None if scripted else _prepare)
        return Stage(Pump(live, Session(keep=KEPT_REQUESTS)), live=live)

    def replay(self, path: Path) -> Stage:
        """A recording, read and, where its run was cut off, recovered."""
        from llamatop.recording.reader import open_recording

        recording = open_recording(path)
        replay = Replay(recording.events)
        return Stage(Pump(replay, Session()), replay=replay)

    def begin(self, stage: Stage) -> None:
        """Start a run, and its recording."""
        if not isinstance(stage.live, LiveRun):
            return
        if self._save:
            from llamatop.recording.writer import Recorder

            path, self._out = self._out or default_path(stage.live.config.model), None
            stage.recorder = recorder = Recorder(path, self._keep_text)
            stage.pump.sinks.append(recorder)
        stage.live.start()

    def finish(self, stage: Stage) -> str:
        """Finish a stage's recording; a run that was refused leaves none."""
        from llamatop.recording.writer import Recorder

        recorder, stage.recorder = stage.recorder, None
        if not isinstance(recorder, Recorder):
            return ""
        if stage.pump.session.model is None:
            recorder.discard()
            return ""
        recorder.close()
        self.kept.append(recorder.error or f"recording: {recorder.path}")
        return self.kept[-1]

    def charts(self, session: Session, folder: Path) -> int:
        """Draw a session's charts into a folder; how many files."""
        from llamatop.reports.charts.files import write
        from llamatop.reports.runs import run_of

        return len(write([run_of(session)], folder).files)

    def warm(self) -> None:
        """Start an engine process that imports what every model needs."""
        if self._warm is None:
            self._warm = warm_engine()

    def close(self) -> None:
        """End what was warmed up for nothing."""
        if self._warm is not None:
            self._warm.kill()


def _prepare(config: RunConfig, now: Callable[[], int]) -> Foretold:
    from llamatop.predict.prepare import prepare

    return prepare(config, now)
