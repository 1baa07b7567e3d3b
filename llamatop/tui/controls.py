"""What the screen asks of a live run, and of a recorder. Knows neither."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llamatop.config import RunConfig
from llamatop.pump import Source


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
