"""Orders to a live run, as a person gives them: twice in a row counts twice. Knows no keys."""

from __future__ import annotations

from llamatop.pump import Pump
from llamatop.session import Request
from llamatop.tui.controls import Live


class Steering:
    """Gives orders; what became of them shows in the events that follow."""

    def __init__(self, pump: Pump, live: Live) -> None:
        self._pump = pump
        self._live = live
        self._wanted: tuple[int, int] | None = None
        """(level, concurrency) asked for last, for as long as no other level has begun."""

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

    def cancel(self, request: Request | None) -> None:
        """Take a request back, if it is still running."""
        if request is not None and request.active:
            self._live.cancel(request.id)


def next_concurrency(concurrency: int, direction: int) -> int:
    """The next number of requests to try: by ones when few, by about an eighth when many."""
    scale = concurrency if direction > 0 else concurrency - 1
    step = 1 << max(scale.bit_length() - 4, 0)
    return max(concurrency + direction * step, 1)
