"""The request table: hundreds of rows, only those in view are made, and drawn if changed."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region, Size
from textual.message import Message

from llamatop.figures.served import is_provisional
from llamatop.session.requests import Request
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.rows import Rows
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.panels import Panel
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.requests import chosen, content, row


class RequestTable(Rows, can_focus=True, inherit_bindings=False):
    """The rows, with a cursor that stays on its request."""

    DEFAULT_CSS = """
    RequestTable { margin: 2 1 1 1; scrollbar-gutter: stable; }
    """

    class Opened(Message):
        """A person wants to see one request."""

        def __init__(self, request: int) -> None:
            super().__init__()
            self.request = request

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="table")
        self._requests: list[Request] = []
        self._slo: dict[str, float] = {}
        self._provisional = False
        self._cursor: int | None = None
        """Id of the request under the cursor; None: the first row, whichever it is."""
        self._at = 0
        self._sought = False
        """Whether the cursor was put on a request that may be out of view."""

    @property
    def selected(self) -> Request | None:
        """The request under the cursor."""
        return self._requests[self._at] if self._at < len(self._requests) else None

    @property
    def rows(self) -> int:
        """How many requests the table holds."""
        return len(self._requests)

    def show(self, frame: Frame) -> None:
        """Draw the rows in view that changed."""
        before, at = len(self._requests), self._at
        self._slo = frame.figures.slo
        self._provisional = is_provisional(frame.session)
        self._requests = chosen(frame.session, frame.choices)
        self._follow_cursor()
        self._hold(len(self._requests), before)
        if self._sought:
            self._sought = False
            self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)
        else:
            self._keep_in_view(at)
        self.refresh_changed()

    def _hold(self, rows: int, before: int) -> None:
        """Another number of rows: Textual would lay the whole screen out anew for each.

        More of them than fit move the scroll bar alone, which follows when that can be seen, and
        when no more come.
        """
        if not self.show_vertical_scrollbar or rows < before:
            self.virtual_size = Size(1, rows)
            return
        self.set_reactive(RequestTable.virtual_size, Size(1, rows))
        bar = self.vertical_scrollbar
        half_cells = 2 * self.size.height
        if rows == before or (rows - bar.window_virtual_size) * half_cells >= rows:
            bar.window_virtual_size = rows

    def _follow_cursor(self) -> None:
        """Find the cursor's request again; where it is gone the cursor keeps its place."""
        last = max(len(self._requests) - 1, 0)
        self._at = min(self._at, last)
        if self._cursor is None or not self._requests:
            return
        if self._requests[self._at].id == self._cursor:
            return
        places = (i for i, request in enumerate(self._requests) if request.id == self._cursor)
        self._at = next(places, self._at)
        self._cursor = self._requests[self._at].id

    def _keep_in_view(self, before: int) -> None:
        """Rows that come above a cursor in view move what is seen along with it."""
        top = self.scroll_offset.y
        if self._at != before and top <= before < top + self.size.height:
            self.scroll_to(y=top + self._at - before, animate=False, force=True)

    def make(self, y: int, width: int) -> tuple[Line, bool]:
        """A row, and whether the cursor is on it."""
        if y >= len(self._requests):
            return (), False
        return row(self._requests[y], width, self._slo, self._provisional), y == self._at

    def select(self, request: int) -> None:
        """Put the cursor on a request, from the next frame on; where it is not shown, nowhere."""
        self._cursor, self._sought = request, True

    def move(self, rows: int) -> None:
        """Move the cursor and keep it in view."""
        if not self._requests:
            return
        self._at = min(max(self._at + rows, 0), len(self._requests) - 1)
        self._cursor = self._requests[self._at].id if self._at else None
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)
        self.refresh_changed()

    def page(self, pages: int) -> None:
        """Move by so many screens of rows."""
        self.move(pages * max(self.size.height - 1, 1))

    def on_resize(self) -> None:
        """Another width: every row is made anew."""
        self.forget()
        self.virtual_size = Size(1, len(self._requests))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one opens the request."""
        event.stop()
        self.post_message(Panel.Picked("requests", twice=False))
        self.move(event.y + self.scroll_offset.y - self._at)
        if event.chain == 2 and self.selected is not None:
            self.post_message(self.Opened(self.selected.id))


class RequestsPanel(Panel):
    """The table in its frame, under the names of its columns."""

    DEFAULT_CSS = """
    RequestsPanel { layout: vertical; }
    """

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, 4, "Requests", self._content)
        self.table = RequestTable(palette)

    def compose(self) -> ComposeResult:
        """The rows stand inside the frame."""
        yield self.table

    def turn(self, steps: int) -> None:
        """The cursor goes down or up."""
        self.table.move(steps)

    def page(self, pages: int) -> None:
        """By so many screens of rows."""
        self.table.page(pages)

    def _content(self, frame: Frame, width: int, height: int) -> Content:
        return content(frame, self.table.rows, width, height, self.table.scroll_offset.y)

    def show(self, frame: Frame) -> None:
        """Draw rows and frame."""
        self.table.show(frame)
        self.table.visible = self.table.rows > 0
        super().show(frame)
