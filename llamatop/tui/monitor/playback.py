"""A replay as the screen plays it: seeking swaps the pump's session, marks are found once.

What takes long in a large recording (snapshots, the slowest gaps) is done in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from llamatop.events.clock import SECOND
from llamatop.figures.gaps import Gap, slowest_gaps
from llamatop.recording.bookmarks import Bookmarks
from llamatop.reports.outcome import failure
from llamatop.run.controls import Orders
from llamatop.run.following import Following
from llamatop.run.pump import Pump
from llamatop.run.replay import Replay
from llamatop.session.reducer import Session
from llamatop.tui.monitor.frame import Playback
from llamatop.tui.monitor.growth import Growth
from llamatop.tui.monitor.marks import TROUBLES, WHOLE, Marks, next_of
from llamatop.tui.monitor.views.state import end_of_memory
from llamatop.tui.monitor.views.values import moment, span

_AFTER = 2 * SECOND
"""How long after a gap (ns) it is still told."""


class Player:
    """Turns wishes into seeks; `tell` shows a person (title, line), `look_at` a request."""

    def __init__(
        self,
        pump: Pump,
        replay: Replay,
        bookmarks: Bookmarks,
        tell: Callable[[str, str], None],
        look_at: Callable[[int], None] = lambda request: None,
    ) -> None:
        self._pump = pump
        self._replay = replay
        self._bookmarks = bookmarks
        self._tell = tell
        self._look_at = look_at
        self._gaps: list[Gap] | None = None
        """The slowest first; None: not looked for yet."""
        self._preparing: threading.Thread | None = None
        self._looking: threading.Thread | None = None
        self._gap = -1
        """The one that was gone to last."""
        self._gaps_on = 0
        """How many further to go, as soon as they are known."""
        self._marks = Marks()
        self._growth = Growth(pump, replay, tell) if isinstance(replay, Following) else None
        self._failure = ""
        """Why the run failed; empty: it did not, or that is not known yet."""
        self._answer = ""
        """Where memory ended, of a run that looked for it."""
        self.orders: Orders = {
            "toggle_pause": self.toggle,
            "more": lambda: self.faster(1),
            "less": lambda: self.faster(-1),
            "seek": self.skip,
            "step": self.step,
            "to_end": self.to_end,
            "edge": self.to_end,
            "to_level": self.to_level,
            "to_failure": self.to_failure,
            "bookmark": self.bookmark,
            "to_bookmark": self.to_bookmark,
            "to_gap": self.to_gap,
        }

    def find_marks(self) -> None:
        """Look through the recording for levels and failures."""
        self._marks = Marks()
        if self._growth is None:
            self._marks.look(self._replay.rare)
        else:
            self._growth.anew()

    @property
    def _playing(self) -> bool:
        """Whether the position moves by itself."""
        return self._replay.playing and not self._replay.ended

    @property
    def playback(self) -> Playback:
        """Where the replay stands."""
        replay = self._replay
        return Playback(
            self._playing,
            replay.speed,
            replay.position,
            replay.length,
            self._marks.told,
            replay.start,
            tuple(self._bookmarks.times),
            self._note(),
            *((self._failure, self._answer) if self._is_ahead() else ("", "")),
            self._growth.following if self._growth is not None else "",
        )

    def _is_ahead(self) -> bool:
        """Whether the first failure is still to come."""
        return self._replay.position < min(self._times("failure"), default=0)

    def prepare(self) -> None:
        """Make every later seek quick, while a person looks at the first frame."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=self._prepare, name="snapshots", daemon=True)
            self._preparing.start()

    def _prepare(self) -> None:
        if self._growth is not None:  # what is ahead is known when the run is over
            self._replay.prepare()
        self._find_outcome()
        self._replay.prepare()

    def _find_outcome(self) -> None:
        """Why the run failed, or where memory ended; its tokens tell nothing of that."""
        session = Session()
        for event in self._replay.rare:
            session.apply(event)
        self._failure = failure(session) or ""
        self._answer = "" if self._failure else end_of_memory(session)

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
        """Go forwards or back by so many seconds; less in what is short."""
        short = min((self._replay.length - self._replay.start) / WHOLE, 1.0)
        self._pump.session = self._replay.seek_seconds(seconds * short)

    def to_end(self, direction: int) -> None:
        """Go to the recording's end, or to its start; where it grows, to what is now."""
        if self._growth is not None and direction > 0:
            self._growth.go_on()
        self.seek(self._replay.length if direction > 0 else self._replay.start)

    def step(self, direction: int) -> None:
        """Pause, and go to the next or previous token, or whatever else happened."""
        self._replay.pause(True)
        self._pump.session = self._replay.step(direction)

    def to_level(self, direction: int) -> None:
        """Go to the beginning of the next or previous level; without one, to an end."""
        there = self._next(self._times("level"), direction)
        if there is None:
            self.to_end(direction)
        else:
            self.seek(there)

    def to_failure(self, direction: int) -> None:
        """Go to the next or previous failure, broken limit or restart; stay where there is none."""
        times = self._times(*TROUBLES)
        there = self._next(times, direction)
        if there is not None:
            self.seek(there)
            requests = reversed(self._pump.session.requests.values())
            for request in (r.id for r in requests if r.state == "failed" and r.ended == there):
                self._look_at(request)
                break
        elif not times:
            self._tell("failure", "nothing failed")

    def _times(self, *kinds: str) -> list[int]:
        return [time for time, which in self._marks.told if which in kinds]

    def _next(self, times: list[int], direction: int) -> int | None:
        return next_of(times, self._replay.position, direction, self._playing)

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
        there = self._next(self._bookmarks.times, direction)
        if there is not None:
            self.seek(there)

    def to_gap(self, steps: int) -> None:
        """Go to the next slowest gap between tokens, or back to one that is slower."""
        self._gaps_on += steps
        if self._growth is not None and self._growth.has_grown_since_gaps():
            self._gaps, self._gap, self._looking = None, -1, None
        if self._looking is None:
            self._looking = threading.Thread(target=self._look, name="gaps", daemon=True)
            self._looking.start()

    def _look(self) -> None:
        self._gaps = slowest_gaps(self._replay.events)

    def settle(self) -> None:
        """Take what a growing recording has got; do what was asked for before it was known."""
        if self._growth is not None:
            self._growth.settle(self._marks, self._bookmarks)
        if self._gaps is None or not self._gaps_on:
            return
        steps, self._gaps_on = self._gaps_on, 0
        if self._gaps:
            self._gap = min(max(self._gap + steps, 0), len(self._gaps) - 1)
            gap = self._gaps[self._gap]
            self.seek(gap.start)
            self._look_at(gap.request)
        else:
            self._tell("slowest gap", "no request that completed has two tokens")

    def _note(self) -> str:
        """Which gap stands here, and how long it is; or that the run had not ended yet."""
        if self._growth is not None and (note := self._growth.note):
            return note
        if self._replay.ended and self._pump.session.ended is None:
            return "ends in mid-run"
        if self._gaps is None or self._gap < 0:
            return "looking for gaps…" if self._gaps_on else ""
        gap = self._gaps[self._gap]
        if not gap.start <= self._replay.position <= gap.end + _AFTER:
            return ""
        return f"gap {self._gap + 1}: {span(gap.seconds)}, request {gap.request}"
