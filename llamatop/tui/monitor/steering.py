"""Orders to a live run, as a person gives them: twice in a row counts twice. Knows no keys."""

from __future__ import annotations

from collections.abc import Callable

from llamatop.run.controls import Live, Orders
from llamatop.run.pump import Pump
from llamatop.session.reducer import Request

SWEEP = (1, 2, 4, 8, 16)
"""Levels of the sweep that a key starts."""


class Steering:
    """Gives orders; what became of them shows in the events that follow.

    `selected` is the request under the cursor; `tell` shows a person (title, line).
    """

    def __init__(
        self,
        pump: Pump,
        live: Live,
        selected: Callable[[], Request | None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._pump = pump
        self._live = live
        self._selected = selected
        self._tell = tell
        self._wanted: tuple[int, int] | None = None
        """(level, concurrency) asked for last, for as long as no other level has begun."""
        self.orders: Orders = {
            "toggle_pause": self.toggle_pause,
            "more": lambda: self.turn(1),
            "less": lambda: self.turn(-1),
            "cancel": self.cancel,
            "sweep": self.sweep,
        }

    def toggle_pause(self) -> None:
        """Hold new requests back, or let them go on."""
        self._live.pause(not self._pump.session.paused)

    def turn(self, direction: int) -> None:
        """More requests at once, or fewer."""
        level = self._pump.session.level
        if level is None or level.ended is not None:
            return
        asked = self._wanted is not None and self._wanted[0] == level.id
        before = self._wanted[1] if self._wanted and asked else level.concurrency
        wished = next_concurrency(before, direction)
        if wished != before:
            self._wanted = (level.id, wished)
            self._live.resize(wished)

    def cancel(self) -> None:
        """Take the selected request back, if it is still running."""
        request = self._selected()
        if request is not None and request.active:
            self._live.cancel(request.id)

    def sweep(self) -> None:
        """From here on levels of 1, 2, 4 … requests at once, to the end."""
        if self._pump.session.model is not None:
            self._live.sweep(SWEEP)
            self._tell("sweep", "levels " + " ".join(map(str, SWEEP)))


def next_concurrency(concurrency: int, direction: int) -> int:
    """The next number of requests to try: by ones when few, by about an eighth when many."""
    scale = concurrency if direction > 0 else concurrency - 1
    step = 1 << max(scale.bit_length() - 4, 0)
    return max(concurrency + direction * step, 1)
