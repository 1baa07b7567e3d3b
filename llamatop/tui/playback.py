"""A replay as the screen plays it: seeking swaps the pump's session, marks are found once.

What takes long in a large recording (snapshots, the slowest gaps) is done in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from llamatop.bookmarks import Bookmarks
from llamatop.clock import SECOND
from llamatop.events import EngineLost, Event, LevelStarted, RequestFailed
from llamatop.gaps import Gap, slowest_gaps
from llamatop.pump import Pump
from llamatop.replay import Replay
from llamatop.tui.controls import Orders
from llamatop.tui.frame import Playback
from llamatop.tui.views.values import moment, span

_KINDS = {LevelStarted: "level", RequestFailed: "failure", EngineLost: "failure"}

_AFTER = 2 * SECOND
"""How long after a gap (ns) it is still told."""

_BEHIND = SECOND // 2
"""A mark passed less than this ago (ns) is not the previous one."""


class Player:
    """Turns wishes into seeks; `tell` shows a person (title, line)."""

    def __init__(
        self,
        pump: Pump,
        replay: Replay,
        bookmarks: Bookmarks,
        tell: Callable[[str, str], None],
    ) -> None:
        self._pump = pump
        self._replay = replay
        self._bookmarks = bookmarks
        self._tell = tell
        self._gaps: list[Gap] | None = None
        """The slowest first; None: not looked for yet."""
        self._looking: threading.Thread | None = None
        self._gap = -1
        """The one that was gone to last."""
        self._gaps_on = 0
        """How many further to go, as soon as they are known."""
        self._marks: tuple[tuple[int, str], ...] = ()
        self.orders: Orders = {
            "toggle_pause": self.toggle,
            "more": lambda: self.faster(1),
            "less": lambda: self.faster(-1),
            "seek": self.skip,
            "step": self.step,
            "to_end": self.to_end,
            "to_mark": self.to_mark,
            "bookmark": self.bookmark,
            "to_bookmark": self.to_bookmark,
            "to_gap": self.to_gap,
        }

    def find_marks(self) -> None:
        """Look through the recording for levels and failures."""
        self._marks = marks_of(self._replay.rare)

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
            tuple(self._bookmarks.times),
            self._note(),
        )

    def prepare(self) -> None:
        """Make every later seek quick, while a person looks at the first frame."""
        threading.Thread(target=self._replay.prepare, name="snapshots", daemon=True).start()

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

    def to_end(self, direction: int) -> None:
        """Go to the recording's end, or to its start."""
        self.seek(self._replay.length if direction > 0 else self._replay.start)

    def step(self, direction: int) -> None:
        """Pause, and go to the next moment at which something happened, or a tenth back."""
        self._replay.pause(True)
        if direction > 0:
            self._pump.session = self._replay.step()
        else:
            self.skip(-0.1)

    def to_mark(self, direction: int) -> None:
        """Go to the next or previous level or failure."""
        self._go(direction, (time for time, _ in self._marks), self._replay.length, 0)

    def _go(self, direction: int, times: Iterable[int], last: int, first: int) -> None:
        """Go to the next or previous of some times; `last` or `first` where there is none."""
        here = self._replay.position
        if direction > 0:
            self.seek(min((time for time in times if time > here), default=last))
        else:
            self.seek(max((time for time in times if time < here - _BEHIND), default=first))

    def bookmark(self) -> None:
        """Set a bookmark here, or take away the one that is here."""
        place = self._replay.position
        try:
            there = self._bookmarks.turn(place)
        except OSError as error:
            self._tell("bookmark", f"it will not outlive this screen: {error}")
        else:
            self._tell("bookmark", f"{'set at' if there else 'taken away at'} {moment(place)}")

    def to_bookmark(self, direction: int) -> None:
        """Go to the next or previous bookmark; stay where there is none."""
        here = self._replay.position
        self._go(direction, self._bookmarks.times, here, here)

    def to_gap(self, steps: int) -> None:
        """Go to the next slowest gap between tokens, or back to one that is slower."""
        self._gaps_on += steps
        if self._looking is None:
            self._looking = threading.Thread(target=self._look, name="gaps", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        self._gaps = slowest_gaps(self._replay.events)

    def settle(self) -> None:
        """Do what was asked for before it was known."""
        if self._gaps is None or not self._gaps_on:
            return
        steps, self._gaps_on = self._gaps_on, 0
        if self._gaps:
            self._gap = min(max(self._gap + steps, 0), len(self._gaps) - 1)
            self.seek(self._gaps[self._gap].start)
        else:
            self._tell("slowest gap", "no request that completed has two tokens")

    def _note(self) -> str:
        """Which gap stands here, and how long it is."""
        if self._gaps is None or self._gap < 0:
            return "looking for gaps…" if self._gaps_on else ""
        gap = self._gaps[self._gap]
        if not gap.start <= self._replay.position <= gap.end + _AFTER:
            return ""
        return f"gap {self._gap + 1}: {span(gap.seconds)}, request {gap.request}"


def marks_of(events: Iterable[Event]) -> tuple[tuple[int, str], ...]:
    """When levels began and requests failed."""
    return tuple((e.time, _KINDS[type(e)]) for e in events if type(e) in _KINDS)
