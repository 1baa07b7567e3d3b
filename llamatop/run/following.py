"""A recording that is still being made as a source of events: a replay whose end moves on.

As long as a person has not gone elsewhere the position keeps to the newest events, half a second
behind so that it moves evenly. When the run has ended it is a replay like any other. Knows no file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from llamatop.events.clock import SECOND, Clock
from llamatop.events.kinds import Event
from llamatop.run.in_time import due, in_time
from llamatop.run.replay import Replay, start_of
from llamatop.session.blocks import Block, Blocks
from llamatop.session.reducer import Session

BEHIND = SECOND // 2
"""How far (ns) the position is behind the newest event at most: events come twice a second."""

FAR = 5 * SECOND
"""So far behind (ns) the session is folded anew, at once, rather than event by event."""

_PAUSE = 1.0
"""Seconds between two looks of `prepare` for enough new events."""


class Feed(Protocol):
    """Where the blocks come from; as `recording.follower.Follower`."""

    @property
    def path(self) -> Path:
        """Where the recording is, or will be."""

    @property
    def facts(self) -> dict[str, str]:
        """Of the recording, once it is whole."""

    @property
    def state(self) -> str:
        """`growing`, `whole`, `cut off` or `gone`; but for the first and the third for ever."""

    @property
    def silent(self) -> float:
        """Seconds since something came."""

    @property
    def host(self) -> str:
        """The other machine on which it is made; empty: this one, or not told."""

    def take(self) -> Sequence[Block]:
        """What has come, in order; never waits."""

    def close(self) -> None:
        """No more."""


class Following(Replay):
    """Plays events as they come. At first it is where the run is now."""

    def __init__(self, feed: Feed, speed: float = 1.0, clock: Clock | None = None) -> None:
        """A `speed` other than 1 begins at the start, to come to what is now."""
        self._held = Blocks(())
        super().__init__((), speed, clock)
        self.events = self._held
        self.state = feed.state
        self.feed = feed
        self._at_now = speed == 1
        self.grow()

    @property
    def blocks(self) -> Sequence[Block]:
        """All that has come."""
        return self._held.blocks

    @property
    def growing(self) -> bool:
        """Whether more may come: a run that was cut off may yet be recovered, and is then whole."""
        return self.state == "growing"

    @property
    def at_now(self) -> bool:
        """Whether the position keeps to the newest events."""
        return self.growing and self._at_now and self.playing

    @property
    def ended(self) -> bool:
        """Whether the position has passed every event, and no more will come."""
        return super().ended and not self.growing

    @property
    def far_behind(self) -> bool:
        """Whether the way to what is now is better not gone event by event."""
        return self.at_now and self.length - self.position > FAR

    def grow(self) -> list[Block]:
        """Take what has come; the blocks."""
        state = self.feed.state  # asked first: what comes after `whole` is nothing
        blocks = [block for block in self.feed.take() if len(block)]
        for block in map(in_time, blocks):
            self._held.append(block)
            self._due += due(block, self.length)
            if len(self._held) == len(block):
                self.start = start_of(self._held)
                self.position = max(self.position, self.start)
        self.state = state
        return blocks

    def _move(self, passed: int) -> None:
        if not self.at_now:
            super()._move(passed)
            if self.growing and self.position >= self.length:
                self._come_to_now()
            return
        self.position = min(max(self.position + passed, self.length - BEHIND), self.length)

    def _come_to_now(self) -> None:
        self._at_now, self.speed = True, 1.0

    def pause(self, paused: bool) -> None:
        """Hold the position; what comes meanwhile is not lost."""
        super().pause(paused)
        self._at_now = self._at_now and not paused

    def faster(self, steps: int = 1) -> None:
        """The next speed; there is none but one to what is now."""
        if not self.at_now:
            super().faster(steps)

    def seek(self, position: int) -> Session:
        """Go to a position, and stay with what is now if it is that."""
        session = super().seek(position)
        self._at_now = False
        if self.growing and self.playing and self.position >= self.length:
            self._come_to_now()
        return session

    def prepare(self) -> None:
        """Make snapshots as events come, until no more do."""
        while self.state in ("growing", "cut off"):
            super().prepare()
            time.sleep(_PAUSE)
        super().prepare()

    def close(self) -> None:
        """Nobody looks any more."""
        self.feed.close()
        self.state = "gone"

    def drain(self) -> Sequence[Event]:
        """Take what has come, and hand out what is due."""
        self.grow()
        return super().drain()
