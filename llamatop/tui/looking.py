"""What a person does to see something: move, sort, filter, zoom, enlarge, open. Changes no run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from llamatop.tui.controls import Orders
from llamatop.tui.figures import LIVE_STEP, STEPS
from llamatop.tui.frame import ORDERS, Choices
from llamatop.tui.monitor import Monitor
from llamatop.tui.palette import Palette


@runtime_checkable
class Turns(Protocol):
    """A screen of one request."""

    def turn_to(self, request: int) -> None:
        """Another request."""


class Looking:
    """The choices for one monitor; `draw` shows what came of them."""

    def __init__(self, monitor: Monitor, draw: Callable[[], None]) -> None:
        self.choices = Choices()
        self._monitor = monitor
        self._draw = draw
        self.orders: Orders = {
            "move": self.move,
            "page": self.page,
            "maximise": self.maximise,
            "order": self.order,
            "reverse": self.reverse,
            "zoom": self.zoom,
            "filter": self.filter,
            "back": self.back,
            "open": self.open_selected,
            "dismiss_screen": self.close,
        }

    def move(self, rows: int) -> None:
        """Move the cursor in the table; an open request gives way to that under the cursor.

        Where the events are alone, they scroll.
        """
        if self._events_alone:
            self._monitor.events.turn(rows)
            return
        table = self._monitor.table
        table.move(rows)
        screen = self._monitor.app.screen
        if isinstance(screen, Turns) and table.selected is not None:
            screen.turn_to(table.selected.id)
            self._draw()

    def page(self, pages: int) -> None:
        """The same by screens of rows."""
        if self._events_alone:
            self._monitor.events.page(pages)
        else:
            self._monitor.table.page(pages)

    @property
    def _events_alone(self) -> bool:
        top = self._monitor.app.screen
        return self.choices.maximised == "events" and not isinstance(top, Turns)

    def maximise(self, panel: str) -> None:
        """One panel alone, or all again."""
        self._maximise(None if self.choices.maximised == panel else panel)

    def _maximise(self, panel: str | None) -> None:
        self.choices.maximised = panel
        self._monitor.maximise(panel)
        self._draw_soon()

    def order(self) -> None:
        """Sort by the next column."""
        place = ORDERS.index(self.choices.order) + 1
        self.choices.order = ORDERS[place % len(ORDERS)]
        self._draw()

    def reverse(self) -> None:
        """Turn the order round."""
        self.choices.reverse = not self.choices.reverse
        self._draw()

    def zoom(self, steps: int) -> None:
        """Histories over a longer or shorter time."""
        at = self.choices.span if self.choices.span is not None else STEPS.index(LIVE_STEP)
        self.choices.span = min(max(at + steps, 0), len(STEPS) - 1)
        self._draw()

    def filter(self) -> None:
        """Ask for the words of the filter."""
        self._monitor.ask_filter(self.choices, self._draw)

    def back(self) -> None:
        """Undo one of: filter, scrolled events, maximised panel, zoom."""
        if self.choices.query:
            self.choices.query = ""
        elif self.choices.told_until is not None:
            self.choices.told_until = None
        elif self.choices.maximised is not None:
            self._maximise(None)
        else:
            self.choices.span = None
        self._draw()

    def open_selected(self) -> None:
        """The request under the cursor by itself."""
        selected = self._monitor.table.selected
        if selected is not None:
            self.open(selected.id)

    def open(self, request: int) -> None:
        """One request by itself."""
        from llamatop.tui.request import RequestScreen  # noqa: PLC0415  (not for the first paint)

        app = self._monitor.app
        palette = Palette(app.current_theme)
        app.push_screen(RequestScreen(palette, request, self._monitor.keys))
        self._draw_soon()

    def close(self) -> None:
        """Back to the monitor."""
        app = self._monitor.app
        if len(app.screen_stack) > 1:
            app.pop_screen()
            self._draw()

    def _draw_soon(self) -> None:
        self._monitor.app.call_after_refresh(self._draw)
