"""What the screen asks of a run, a recorder, and of whoever makes them. Knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from llamatop.config import RunConfig
from llamatop.events import Event
from llamatop.pump import Pump, Source
from llamatop.replay import Replay
from llamatop.session import Session

Orders = dict[str, Callable[..., None]]
"""What a part of the screen can be asked to do, by the names that `keys` gives."""


class Live(Source, Protocol):
    """A run that takes orders; none of these waits."""

    config: RunConfig

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


class Recorder(Protocol):
    """The sink that keeps a run, as far as the screen shows it."""

    @property
    def error(self) -> str | None:
        """Why it stopped; None while it records."""
        ...

    @property
    def path(self) -> Path:
        """Where the recording will be."""
        ...


@dataclass
class Stage:
    """What the screen shows: a run or a replay with its pump, or nothing yet."""

    pump: Pump
    live: Live | None = None
    replay: Replay | None = None
    recorder: Recorder | None = None


class Launcher(Protocol):
    """Makes stages of what a person chose, and ends them. `begin` returns at once."""

    def run(self, config: RunConfig) -> Stage:
        """A run, not begun; InputError where it cannot be."""
        ...

    def replay(self, path: Path) -> Stage:
        """A recording, read; InputError where it cannot be."""
        ...

    def begin(self, stage: Stage) -> None:
        """Begin a run and its recording; InputError where it cannot be recorded."""
        ...

    def finish(self, stage: Stage) -> str:
        """Finish a stage's recording, which may take a while; where it is, or why it is not."""
        ...

    def charts(self, session: Session, folder: Path) -> int:
        """Draw a session's charts into a folder, which takes a second or two; how many files."""
        ...

    def warm(self) -> None:
        """A person is choosing: get ready."""
        ...


class Idle:
    """Where nothing runs, nothing comes; a `pump.Source`."""

    ended = False

    def drain(self) -> Sequence[Event]:
        """Nothing."""
        return ()
