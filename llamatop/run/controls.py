"""What the screen asks of a run, a recorder, and of whoever makes them. Knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from llamatop.events.kinds import Event, RunStarted
from llamatop.recording.bookmarks import Bookmarks
from llamatop.run.pump import Pump, Sink, Source
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig

if TYPE_CHECKING:
    from llamatop.reports.runs import Run
    from llamatop.run.replay import Replay

Orders = dict[str, Callable[..., None]]
"""What a part of the screen can be asked to do, by the names that `keys` gives."""


class Live(Source, Protocol):
    """A run that takes orders; none of these waits."""

    @property
    def config(self) -> RunConfig:
        """What is run now."""
        ...

    def start(self) -> None:
        """Begin: events follow."""

    def resize(self, concurrency: int) -> None:
        """Another number of requests in flight."""

    def pause(self, paused: bool) -> None:
        """Hold new requests back, or let them go on."""

    def cancel(self, request: int) -> None:
        """Take one request back."""

    def sweep(self, levels: tuple[int, ...]) -> None:
        """End the level that runs, and run these, one after another, to their ends."""

    def stop(self) -> None:
        """End the run soon; its last event follows."""

    def close(self) -> None:
        """End the children now."""


class Recorder(Sink, Protocol):
    """The sink that keeps a run, as far as the screen shows it; `error` says why it stopped."""

    @property
    def path(self) -> Path:
        """Where the recording will be."""

    def close(self) -> None:
        """Write the rest and make it whole, which may take a while."""

    def discard(self) -> None:
        """Stop, and leave no file."""


@dataclass
class Stage:
    """What the screen shows: a run or a replay with its pump, or nothing yet."""

    pump: Pump
    live: Live | None = None
    replay: Replay | None = None
    recorder: Recorder | None = None
    bookmarks: Bookmarks = field(default_factory=Bookmarks)
    """Of a replay."""

    def keep(self, recorder: Recorder) -> None:
        """Record from now on, beginning with what the recording has to know of a run under way."""
        from llamatop.session.preface import preface  # noqa: PLC0415  (not for the first paint)

        recorder.write(preface(self.pump.session))
        self.pump.sinks.append(recorder)
        self.recorder = recorder

    def records(self, chosen: object) -> bool:
        """Whether what was chosen is the recording that is made of it."""
        kept = self.recorder.path.absolute() if self.recorder is not None else None
        return isinstance(chosen, Path) and chosen.absolute() == kept

    @property
    def watches(self) -> bool:
        """Whether it is a watch of servers that others drive, or the recording of one."""
        if self.live is not None:
            return self.live.config.engine == "attach"
        rare = self.replay.rare if self.replay is not None else ()
        started = next((event for event in rare if isinstance(event, RunStarted)), None)
        return started is not None and started.config.engine == "attach"

    @property
    def told(self) -> bool:
        """Whether it is known what it is: a recording that was just begun holds nothing yet."""
        return self.replay is None or next(iter(self.replay.rare), None) is not None

    @property
    def worth_keeping(self) -> bool:
        """Whether its recording tells anything: of a model, a watched server, a lost engine."""
        session = self.pump.session
        watched = session.watched if self.watches else None
        known = session.model, session.lost, watched or None
        return any(fact is not None for fact in known)

    def release(self) -> Recorder | None:
        """Record no more; what recorded until now, to be finished."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            self.pump.sinks.remove(recorder)
        return recorder


class Launcher(Protocol):
    """Makes stages of what a person chose, and their recordings."""

    save: bool
    """Whether runs are recorded without being asked."""

    def run(self, config: RunConfig) -> Stage:
        """A run, not begun; InputError where it cannot be."""

    def replay(self, path: Path) -> Stage:
        """A recording, read; InputError where it cannot be."""

    def runs(self, paths: Sequence[Path]) -> list[Run]:
        """Recordings, read and folded, to be compared; InputError where one cannot be."""

    def record(self, config: RunConfig) -> Recorder:
        """A new recording, which may take a moment; InputError where it cannot be made."""

    def finish(self, recorder: Recorder, worth: bool) -> str:
        """Finish a recording, which may take a while; where it is, or why it is not.

        What is not worth keeping is removed.
        """

    def ended(self, session: Session) -> None:
        """A run is over and no longer shown: how it went makes the exit code."""

    def charts(self, runs: Sequence[Run], folder: Path) -> int:
        """Draw the charts of some runs into a folder, which takes seconds; how many files."""

    def warm(self) -> None:
        """A person is choosing: get ready."""


class Idle:
    """Where nothing runs, nothing comes; a `pump.Source`."""

    ended = False

    def drain(self) -> Sequence[Event]:
        """Nothing."""
        return ()
