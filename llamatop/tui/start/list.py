"""The list as a widget: only rows in view are made, whatever their number."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region, Size
from textual.message import Message

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.rows import Rows
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.panel import framed
from llamatop.tui.start.listing import content, row_line
from llamatop.tui.start.rows import selectable
from llamatop.tui.start.state import Start


class StartRows(Rows, can_focus=False):
    """The rows, and the cursor on one of them."""

    DEFAULT_CSS = """
    StartRows { margin: 3 1 1 1; }
    """

    class Picked(Message):
        """A person pointed at a row; `twice`: to have it."""

        def __init__(self, at: int, twice: bool) -> None:
            super().__init__()
            self.at, self.twice = at, twice

    def __init__(self, palette: Palette, start: Start) -> None:
        super().__init__(palette, id="rows")
        self._start = start
        self._seen = -1

    def show(self) -> None:
        """Draw the rows in view that changed; follow the cursor where it moved."""
        start = self._start
        size = Size(1, len(start.listing.rows))
        if size != self.virtual_size:
            self.virtual_size = size
            self._seen = -1
        if start.listing.at != self._seen:
            self._seen = start.listing.at
            self._follow()
        self.refresh_changed()

    def _follow(self) -> None:
        """Bring the cursor into view, and the heading over it."""
        at, rows = self._seen, self._start.listing.rows
        first = at - 1 if at and not selectable(rows[at - 1]) else at
        region = Region(0, first, 1, at - first + 1)
        self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def make(self, y: int, width: int) -> tuple[Line, bool]:
        """A row, and whether the cursor is on it."""
        start = self._start
        if y >= len(start.listing.rows):
            return (), False
        under = y == start.listing.at and selectable(start.listing.rows[y])
        return row_line(start, start.listing.rows[y], width, under and not start.in_form), under

    def on_resize(self) -> None:
        """Another width: every row is made anew."""
        self.forget()
        self._seen = -1
        self.show()

    def on_click(self, event: events.Click) -> None:
        """A click chooses a row; a second one has it run."""
        event.stop()
        self.post_message(self.Picked(event.y + self.scroll_offset.y, event.chain == 2))


class StartList(Drawn[Frame]):
    """The list in its frame, under the search and the names of its columns."""

    DEFAULT_CSS = """
    StartList { layout: vertical; }
    """

    def __init__(self, palette: Palette, start: Start) -> None:
        super().__init__(palette, id="list")
        self._start = start
        self.rows = StartRows(palette, start)

    def compose(self) -> ComposeResult:
        """The rows stand inside the frame."""
        yield self.rows

    def lines(self, frame: Frame, width: int, height: int) -> list[Line]:
        """The frame with all but the rows."""
        return framed(0, "Choose", content(self._start, max(width - 2, 0)), width, height)

    def show(self, frame: Frame) -> None:
        """Draw rows and frame."""
        self.rows.show()
        super().show(frame)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self.rows.repaint(palette)
        super().repaint(palette)
