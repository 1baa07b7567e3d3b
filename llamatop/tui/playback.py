"""A replay as the screen plays it: seeking swaps the pump's session, marks are found once."""

from __future__ import annotations

from collections.abc import Iterable

from llamatop.clock import SECOND
from llamatop.events import EngineLost, Event, LevelStarted, RequestFailed
from llamatop.pump import Pump
from llamatop.replay import Replay
from llamatop.tui.controls import Orders
from llamatop.tui.frame import Playback

_KINDS = {LevelStarted: "level", RequestFailed: "failure", EngineLost: "failure"}

_BEHIND = SECOND // 2
"""A mark passed less than this ago (ns) is not the previous one."""


class Player:
    """Turns wishes into seeks."""

    def __init__(self, pump: Pump, replay: Replay) -> None:
        self._pump = pump
        self._replay = replay
        self._marks: tuple[tuple[int, str], ...] = ()
        self.orders: Orders = {
            "toggle_pause": self.toggle,
            "more": lambda: self.faster(1),
            "less": lambda: self.faster(-1),
            "seek": self.skip,
            "step": self.step,
            "to_mark": self.to_mark,
        }

    def find_marks(self) -> None:
        """Look through the recording for levels and failures."""
        self._marks = marks_of(self._replay.events)

    @property
    def playback(self) -> Playback:
        """Where the replay stands."""
        replay = self._replay
        return Playback(
            replay.playing and not replay.ended,
            replay.speed,
            replay.position,
            replay.length,
            self._marks,
            replay.start,
        )

    def toggle(self) -> None:
        """Play or pause; at the end, play from the beginning."""
        if self._replay.ended:
            self._pump.session = self._replay.seek(0)
            self._replay.pause(False)
        else:
            self._replay.pause(self._replay.playing)

    def faster(self, steps: int) -> None:
        """The next speed up or down."""
        self._replay.faster(steps)

    def seek(self, time: int) -> None:
        """Go to a time of the run (ns)."""
        self._pump.session = self._replay.seek(time)

    def skip(self, seconds: float) -> None:
        """Go forwards or back."""
        self._pump.session = self._replay.seek_seconds(seconds)

    def step(self, direction: int) -> None:
        """Pause, and go to the next moment at which something happened, or a tenth back."""
        self._replay.pause(True)
        if direction > 0:
            self._pump.session = self._replay.step()
        else:
            self.skip(-0.1)

    def to_mark(self, direction: int) -> None:
        """Go to the next or previous level or failure."""
        here = self._replay.position
        if direction > 0:
            later = (time for time, _ in self._marks if time > here)
            self.seek(min(later, default=self._replay.length))
        else:
            earlier = (time for time, _ in self._marks if time < here - _BEHIND)
            self.seek(max(earlier, default=0))


def marks_of(events: Iterable[Event]) -> tuple[tuple[int, str], ...]:
    """When levels began and requests failed."""
    return tuple((e.time, _KINDS[type(e)]) for e in events if type(e) in _KINDS)
