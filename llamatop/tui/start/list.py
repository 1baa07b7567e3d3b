"""The list as a widget: only rows in view are made, whatever their number."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from llamatop.tui.drawn import Drawn
from llamatop.tui.frame import Frame
from llamatop.tui.lines import Line
from llamatop.tui.paint import Painted, Row
from llamatop.tui.palette import Palette
from llamatop.tui.start.listing import content, row_line
from llamatop.tui.start.rows import selectable
from llamatop.tui.start.state import Start
from llamatop.tui.views.panel import framed


class StartRows(ScrollView, can_focus=False):
    """The rows, and the cursor on one of them."""

    DEFAULT_CSS = """
    StartRows {
        height: 1fr;
        margin: 3 1 1 1;
        background: $background;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
        scrollbar-color: $foreground 30%;
        scrollbar-color-hover: $foreground 50%;
        scrollbar-color-active: $accent;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    """

    class Picked(Message):
        """A person pointed at a row; `twice`: to have it."""

        def __init__(self, at: int, twice: bool) -> None:
            super().__init__()
            self.at, self.twice = at, twice

    def __init__(self, palette: Palette, start: Start) -> None:
        super().__init__(id="rows")
        self._palette, self._start = palette, start
        self._drawn: dict[int, tuple[Line, bool]] = {}
        self._seen = -1
        self._painted = Painted()

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
        self._refresh_changed()

    def _follow(self) -> None:
        """Bring the cursor into view, and the heading over it."""
        at, rows = self._seen, self._start.listing.rows
        first = at - 1 if at and not selectable(rows[at - 1]) else at
        region = Region(0, first, 1, at - first + 1)
        self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def _refresh_changed(self) -> None:
        top, width = self.scroll_offset.y, self.size.width
        made = {y: self._make(y) for y in range(top, top + self.size.height)}
        regions = [
            Region(0, y - top, width, 1) for y, line in made.items() if self._drawn.get(y) != line
        ]
        self._drawn = made
        if regions:
            self.refresh(*regions)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self.refresh()

    def _make(self, y: int) -> tuple[Line, bool]:
        """A row, and whether the cursor is on it."""
        start = self._start
        if y >= len(start.listing.rows):
            return (), False
        under = y == start.listing.at and selectable(start.listing.rows[y])
        width = self.scrollable_content_region.width
        return row_line(start, start.listing.rows[y], width, under and not start.in_form), under

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some rows in view, painted."""
        top = self.scroll_offset.y
        return self._painted.strips(self, crop, lambda y: self._row(y + top))

    def render_line(self, y: int) -> Strip:
        """One of them."""
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _row(self, place: int) -> Row:
        line, under = self._drawn.get(place) or self._make(place)
        return line, self._palette.cursor if under else self._palette.plain

    def on_resize(self) -> None:
        """Another width: every row is made anew."""
        self._drawn.clear()
        self._seen = -1
        self.show()

    def on_click(self, event: events.Click) -> None:
        """A click chooses a row; a second one has it run."""
        event.stop()
        self.post_message(self.Picked(event.y + self.scroll_offset.y, event.chain == 2))


class StartList(Drawn):
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
