"""The one position that all runs are played at. Knows how long they are, not what they are."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events.clock import SECOND, Clock, MonotonicClock
from llamatop.run.replay import SPEEDS
from llamatop.tui.monitor.frame import Playback
from llamatop.tui.monitor.marks import WHOLE, Mark, gathered, next_of


class Deck:
    """Plays, pauses, seeks; begins at the end, where everything is to be seen.

    Times are ns since the runs, or the level that is shown, began.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.length = 0
        self.position = 0
        self.speed = 1.0
        self.playing = False
        self._marks: tuple[Mark, ...] = ()
        self._clock = clock or MonotonicClock()
        self._last = self._clock.now()

    @property
    def ended(self) -> bool:
        """Whether everything has been played."""
        return self.position >= self.length

    def load(self, length: int, marks: Sequence[Mark]) -> None:
        """Something else to play: at its end, or, while playing, from its beginning."""
        going = self.playing and not self.ended
        self.length = length
        self._marks = gathered(marks)
        self.position = 0 if going else length

    def move(self) -> bool:
        """By the time that passed since the last move; False where nothing moves."""
        now = self._clock.now()
        passed, self._last = now - self._last, now
        if not self.playing:
            return False
        self.position = min(self.position + int(passed * self.speed), self.length)
        self.playing = not self.ended
        return True

    def toggle(self) -> None:
        """Play or pause; at the end, play from the beginning."""
        if self.ended:
            self.position = 0
        self.playing = not self.playing

    def faster(self, steps: int) -> None:
        """The next of `SPEEDS` up, or down where `steps` is negative."""
        nearest = min(range(len(SPEEDS)), key=lambda i: abs(SPEEDS[i] - self.speed))
        self.speed = SPEEDS[min(max(nearest + steps, 0), len(SPEEDS) - 1)]

    def seek(self, position: int) -> None:
        """Go to a time."""
        self.position = max(min(position, self.length), 0)

    def skip(self, seconds: float) -> None:
        """Go forwards or backwards by so many seconds; less in what is short."""
        short = min(self.length / WHOLE, 1.0)
        self.seek(self.position + round(seconds * SECOND * short))

    def to_level(self, direction: int) -> None:
        """Go to the next or previous level of any run; without one, to an end."""
        there = self._next("level", direction)
        self.seek((self.length if direction > 0 else 0) if there is None else there)

    def to_failure(self, direction: int) -> None:
        """Go to the next or previous failure in any run; stay where there is none."""
        there = self._next("failure", direction)
        if there is not None:
            self.seek(there)

    def _next(self, kind: str, direction: int) -> int | None:
        times = (time for time, which in self._marks if which == kind)
        return next_of(times, self.position, direction, self.playing)

    @property
    def playback(self) -> Playback:
        """Where it stands, as the transport bar draws it."""
        return Playback(self.playing, self.speed, self.position, self.length, self._marks)
