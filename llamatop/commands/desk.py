"""Makes what the screen shows, runs with their recordings and replays: its `Launcher`.

What makes a run or a replay is imported when one is made: the start screen waits for none of it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line
from llamatop.run.controls import Recorder, Stage
from llamatop.run.pump import Pump, Sink
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.settings.servers import check_secrets

if TYPE_CHECKING:
    from llamatop.predict.memory import Foretold
    from llamatop.reports.runs import Run
    from llamatop.run.children import Child

KEPT_REQUESTS = 10_000
"""Requests that the screen of an endless run remembers; the recording has them all."""


class Desk:
    """One per screen. `out` is where the first run is recorded; later ones find their own place."""

    def __init__(
        self,
        out: str | None = None,
        save: bool = True,
        keep_text: bool = False,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self._out = out
        self.save = save
        self._keep_text = keep_text
        self._sinks = sinks
        """What gets the events of every run, beside its recording."""
        self._warm: Child | None = None
        self.kept: list[str] = []
        """What became of each recording, for after the screen."""
        self.secrets: Mapping[str, Mapping[str, str]] = {}
        """What is sent to each server that was named and is watched, a key perhaps; none other."""
        self.failed = False
        """Whether one of the runs that ended has failed."""

    def run(self, config: RunConfig) -> Stage:
        """A run, not begun."""
        from llamatop.run.live import LiveRun

        if self.save and self._out is not None and os.path.lexists(self._out):
            raise InputError(f"{one_line(self._out)} exists already; choose another name")
        if config.engine == "attach":
            from llamatop.watch.source import Watch

            watch = Watch(config, self.secrets)
            return Stage(Pump(watch, Session(keep=KEPT_REQUESTS), self._sinks), live=watch)
        check_secrets(config.api_key_env, config.headers, os.environ)
        engine = self._warmed() if config.loads_model else None
        live = LiveRun(config, engine, _prepare if config.loads_model else None)
        return Stage(Pump(live, Session(keep=KEPT_REQUESTS), self._sinks), live=live)

    def replay(self, path: Path) -> Stage:
        """A recording, read, where its run was cut off recovered; where it goes on followed."""
        from llamatop.commands.opening import opened

        return opened(path)[0]

    def runs(self, paths: Sequence[Path]) -> list[Run]:
        """Recordings, folded."""
        from llamatop.reports.runs import open_run

        return [open_run(str(path)) for path in paths]

    def record(self, config: RunConfig) -> Recorder:
        """A new recording: where `out` says the first time, then at a place of its own."""
        from llamatop.recording import writer
        from llamatop.recording.default_path import default_path, named_after

        named = None if self._out or config.model else named_after
        path = self._out or default_path(config.called)
        recorder = writer.Recorder(path, self._keep_text, named)
        self._out = None
        return recorder

    def finish(self, recorder: Recorder, worth: bool) -> str:
        """Finish a recording; a run that came to nothing leaves none."""
        if not worth:
            recorder.discard()
            return ""
        recorder.close()
        self.kept += [recorder.error] if recorder.error else _where(recorder.path)
        return recorder.error or str(recorder.path)

    def ended(self, session: Session) -> None:
        """A run is over; one that was refused was never begun, and has not failed."""
        from llamatop.commands.ending import exit_code

        if session.refused is None and exit_code(session) != 0:
            self.failed = True

    def charts(self, runs: Sequence[Run], folder: Path) -> int:
        """Draw the charts of some runs into a folder; how many files."""
        from llamatop.reports.charts.files import write

        return len(write(runs, folder).files)

    def warm(self) -> None:
        """Start an engine process that imports what every model needs."""
        from llamatop.run.engine import warm_engine

        if self._warm is None or self._warm.exit_code is not None:
            self._warm = warm_engine()

    def _warmed(self) -> Child | None:
        """The engine process that got ready, handed over; None where it was lost meanwhile."""
        warm, self._warm = self._warm, None
        return warm if warm is not None and warm.exit_code is None else None

    def close(self) -> None:
        """End what was warmed up for nothing."""
        if self._warm is not None:
            self._warm.kill()


def _where(path: Path) -> list[str]:
    """Where a recording is, and what to do with it."""
    here = Path.cwd()
    absolute = path.absolute()
    near = absolute.relative_to(here) if absolute.is_relative_to(here) else absolute
    quoted = shlex.quote(one_line(str(near)))
    return [
        f"recording: {one_line(str(path))}",
        f"  llamatop replay {quoted}",
        f"  llamatop compare {quoted} OTHER.parquet",
    ]


def _prepare(config: RunConfig, now: Callable[[], int]) -> Foretold:
    from llamatop.predict.prepare import prepare

    return prepare(config, now)
