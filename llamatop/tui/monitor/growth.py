"""What a recording that is still being made has beside a replay: a now, and an end to come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from llamatop.events.clock import SECOND
from llamatop.recording.bookmarks import Bookmarks
from llamatop.run.following import Following
from llamatop.run.pump import Pump
from llamatop.tui.monitor.marks import Marks
from llamatop.tui.monitor.views.values import span

_SILENCE = 3.0
"""Seconds without anything new that are told: events come twice a second."""


class Growth:
    """Of one replay; `tell` shows a person (title, line)."""

    def __init__(self, pump: Pump, replay: Following, tell: Callable[[str, str], None]) -> None:
        self._pump = pump
        self._replay = replay
        self._tell = tell
        self._told = replay.state
        """The state that a person knows of."""
        self._marked = 0
        """Blocks that were looked through for marks."""
        self._gaps_of = 0
        """Events that there were when gaps were looked for."""

    def anew(self) -> None:
        """Marks are looked for from the beginning."""
        self._marked = 0

    def settle(self, marks: Marks, bookmarks: Bookmarks) -> None:
        """Take what has come."""
        replay = self._replay
        replay.grow()
        fresh = replay.blocks[self._marked :]
        self._marked += len(fresh)
        for block in fresh:
            marks.look(block.others.values())
        if replay.far_behind:
            self._pump.session = replay.seek(replay.length)
        if replay.state != self._told:
            self._told = replay.state
            self._turn(bookmarks)

    def _turn(self, bookmarks: Bookmarks) -> None:
        """It goes on no more, or again."""
        match self._told:
            case "whole":
                with suppress(OSError):  # they hold until the end all the same
                    bookmarks.outlive(self._replay.feed.path, self._replay.feed.facts)
            case "cut off":
                self._tell("cut off", f"{self._why}; all that it wrote is here")
            case "gone":
                self._tell("gone", "its file was removed; all that was in it is here")

    @property
    def _why(self) -> str:
        if host := self._replay.feed.host:
            return f"nothing new from {host}; whether it lives cannot be told from here"
        return "the llamatop that recorded it is gone"

    def go_on(self) -> None:
        """A pause is over where there is a now."""
        if self._replay.growing:
            self._replay.pause(False)

    def has_grown_since_gaps(self) -> bool:
        """Whether slower gaps may have come, and a person is where they come."""
        events = len(self._replay.events)
        if events == self._gaps_of or not (self._replay.at_now or self._gaps_of == 0):
            return False
        self._gaps_of = events
        return True

    @property
    def following(self) -> str:
        """As `frame.Playback` has it."""
        match self._replay.state:
            case "growing":
                return "now" if self._replay.at_now else "behind"
            case "cut off" | "gone" as state:
                return state
        return ""

    @property
    def note(self) -> str:
        """What there is to say of where the replay stands, before all else; mostly nothing."""
        replay = self._replay
        if replay.growing and replay.at_now:
            silent = replay.feed.silent
            return f"nothing new for {silent:.0f} s" if silent > _SILENCE else ""
        if replay.growing:
            return f"{span((replay.length - replay.position) / SECOND)} behind now"
        return "cut off, its writer is gone" if replay.state == "cut off" and replay.ended else ""
