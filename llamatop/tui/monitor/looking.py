"""What a person does to see something: move, sort, filter, zoom, enlarge, open. Changes no run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from llamatop.run.controls import Orders
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.body import Monitor
from llamatop.tui.monitor.frame import ORDERS, Choices
from llamatop.tui.monitor.panels import Panel

_LEAST_VALUES = 10
"""Rows of a panel from which values are listed in it, and need it not alone."""


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
        self._alone = False
        """Whether the servers' panel stands alone only for its values."""
        self.orders: Orders = {
            "move": self.move,
            "page": self.page,
            "maximise": self.maximise,
            "focus_on": self.focus_on,
            "order": self.order,
            "reverse": self.reverse,
            "zoom": self.zoom,
            "values": self.values,
            "filter": self.filter,
            "back": self.back,
            "edge": lambda direction: self.move(direction * 1_000_000),
            "open": self.open_selected,
            "dismiss_screen": self.close,
        }

    def move(self, rows: int) -> None:
        """What going down means in the panel with the focus: a row, a figure, a longer time.

        An open request gives way to that under the cursor.
        """
        self._acting.turn(rows)
        self._follow()

    def page(self, pages: int) -> None:
        """The same by screens."""
        self._acting.page(pages)
        self._follow()

    @property
    def _acting(self) -> Panel:
        """The panel on which the keys for moving act."""
        opened = isinstance(self._monitor.app.screen, Turns)
        return self._monitor.panel("requests" if opened else self.choices.focus)

    def _follow(self) -> None:
        screen, selected = self._monitor.app.screen, self._monitor.table.selected
        if isinstance(screen, Turns) and selected is not None:
            screen.turn_to(selected.id)
        self._draw()

    def look_at(self, request: int) -> None:
        """Put the cursor on a request, and open it where another one is open; drawn later."""
        self._monitor.table.select(request)
        if isinstance(screen := self._monitor.app.screen, Turns):
            screen.turn_to(request)

    def focus(self, panel: str) -> None:
        """Give a panel the keys for moving."""
        self.choices.focus = panel
        self._draw()

    def focus_on(self, direction: int) -> None:
        """Give them to the next panel that is shown; of one alone, to the next one alone."""
        alone = self.choices.maximised is not None
        panels = self._monitor.known if alone else self._monitor.shown
        if not panels:
            return
        there = panels.index(self.choices.focus) if self.choices.focus in panels else 0
        panel = panels[(there + direction) % len(panels)]
        self._maximise(panel) if alone else self.focus(panel)

    def maximise(self, panel: str) -> None:
        """One panel alone, or all again."""
        if panel not in self._monitor.known:
            return
        self._maximise(None if self.choices.maximised == panel else panel)

    def _maximise(self, panel: str | None) -> None:
        self.choices.maximised = panel
        self._monitor.maximise(panel)
        self.choices.focus = panel or self.choices.focus
        self._monitor.keep_focus(self.choices)
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
        self._monitor.panel("throughput").turn(steps)
        self._draw()

    def values(self) -> None:
        """Every value that the servers tell, and where it comes from; or their view again."""
        if "watched" not in self._monitor.known:
            return
        if self.choices.origins is not None:
            self._close_values()
            self._draw()
            return
        self.choices.origins = 0
        low = self._monitor.panel("watched").size.height < _LEAST_VALUES
        self._alone = self.choices.maximised != "watched" and (
            "watched" not in self._monitor.shown or low
        )
        if self._alone:
            self._maximise("watched")
        else:
            self.focus("watched")

    def _close_values(self) -> None:
        """The view again, among all panels where its values needed it alone."""
        self.choices.origins = None
        if self._alone and self.choices.maximised == "watched":
            self._maximise(None)
        self._alone = False

    def filter(self) -> None:
        """Ask for the words of the filter."""
        self.choices.focus = "requests" if self.choices.maximised is None else self.choices.focus
        self._monitor.ask_filter(self.choices, self._draw)

    def back(self) -> None:
        """Undo one: filter, scrolled events, values, what is drawn, a panel alone, zoom, focus."""
        choices = self.choices
        if choices.query:
            choices.query = ""
        elif choices.told_until is not None:
            choices.told_until = None
        elif choices.origins is not None:
            self._close_values()
        elif choices.figure is not None or choices.charted is not None:
            choices.figure = choices.charted = None
        elif choices.maximised is not None:
            self._maximise(None)
        elif choices.span is not None:
            choices.span = None
        else:
            choices.focus = "requests"
        self._draw()

    def open_selected(self) -> None:
        """The request under the cursor by itself; another panel than the table's alone."""
        if self.choices.focus != "requests":
            self.maximise(self.choices.focus)
            return
        selected = self._monitor.table.selected
        if selected is not None:
            self.open(selected.id)

    def open(self, request: int) -> None:
        """One request by itself."""
        from llamatop.tui.monitor.request import RequestScreen  # noqa: PLC0415  (not for the first paint)

        app = self._monitor.app
        palette = Palette(app.current_theme)
        monitor = self._monitor
        app.push_screen(RequestScreen(palette, request, monitor.keys, monitor.transport))
        self._draw_soon()

    def close(self) -> None:
        """Back to the monitor."""
        app = self._monitor.app
        if len(app.screen_stack) > 1:
            app.pop_screen()
            self._draw()

    def _draw_soon(self) -> None:
        self._monitor.app.call_after_refresh(self._draw)
