"""Orders to a live run, as a person gives them: twice in a row counts twice. Knows no keys."""

from __future__ import annotations

from collections.abc import Callable

from llamatop.run.controls import Live, Orders
from llamatop.run.pump import Pump
from llamatop.session.requests import Request
from llamatop.text.formatting import plural

SWEEP = (1, 2, 4, 8, 16)
"""Levels of the sweep that a key starts."""


SETTLED_SECONDS = 0.4
"""After the last press of + or -: presses until then are one order."""

SURE_SECONDS = 5.0
"""How long a question waits for its answer."""


class Steering:
    """Gives orders; what became of them shows in the events that follow.

    `selected` is the request under the cursor; `tell` shows a person (title, line); `after` calls
    something so many seconds later.
    """

    def __init__(
        self,
        pump: Pump,
        live: Live,
        selected: Callable[[], Request | None],
        tell: Callable[[str, str], None],
        after: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._pump = pump
        self._live = live
        self._selected = selected
        self._tell = tell
        self._after = after
        self._presses = 0
        self._sure = False
        """Whether the next order to sweep is meant, whatever it cancels."""
        self._asked: tuple[int, int] | None = None
        """(level that ran, concurrency) of the last press."""
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
        before = self.wanted or level.concurrency
        wished = next_concurrency(before, direction)
        if wished != before:
            self._asked = (level.id, wished)
            self._presses += 1
            presses = self._presses
            self._after(SETTLED_SECONDS, lambda: self._settle(presses))

    def _settle(self, presses: int) -> None:
        """Give the order, unless there was another press since."""
        wanted = self.wanted
        if presses == self._presses and self._asked is not None:
            self._live.resize(wanted or self._asked[1])

    @property
    def wanted(self) -> int | None:
        """The concurrency that the presses so far add up to; None: it runs, or none was pressed.

        The engine takes it with its next request, and perhaps others that were wanted on the way.
        """
        level, asked = self._pump.session.level, self._asked
        if asked is None or level is None or level.ended is not None:
            return None
        since = [one for id, one in self._pump.session.levels.items() if asked[0] <= id < level.id]
        on_the_way = all(one.ended_by == "concurrency" for one in since)
        return asked[1] if on_the_way and asked[1] != level.concurrency else None

    def cancel(self) -> None:
        """Take the selected request back, if it is still running."""
        request = self._selected()
        if request is not None and request.active:
            self._live.cancel(request.id)

    def sweep(self) -> None:
        """From here on levels of 1, 2, 4 … requests at once; it asks where that cancels."""
        session = self._pump.session
        if session.model is None:
            return
        levels = "levels " + " ".join(map(str, SWEEP))
        if session.active and not self._sure:
            self._sure = True
            self._after(SURE_SECONDS, self._forget)
            flying = plural(len(session.active), "request")
            self._tell("sweep", f"s again cancels {flying} in flight, then {levels}")
            return
        self._sure = False
        self._live.sweep(SWEEP)
        self._tell("sweep", levels)

    def _forget(self) -> None:
        self._sure = False


def next_concurrency(concurrency: int, direction: int) -> int:
    """The next number of requests to try: by ones when few, by about an eighth when many."""
    scale = concurrency if direction > 0 else concurrency - 1
    step = 1 << max(scale.bit_length() - 4, 0)
    return max(concurrency + direction * step, 1)
