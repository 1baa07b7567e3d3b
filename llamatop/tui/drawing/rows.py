"""Rows that scroll, one of them under the cursor; those in view are made, and drawn if changed.

Knows nothing of what stands in a row.
"""

from __future__ import annotations

from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.paint import Painted, Row
from llamatop.tui.drawing.palette import Palette


class Rows(ScrollView):
    """Subclasses make a row, and say how many there are by `virtual_size`."""

    DEFAULT_CSS = """
    Rows {
        height: 1fr;
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

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(id=id)
        self._palette = palette
        self._made: dict[int, tuple[Line, bool]] = {}
        self._painted = Painted()

    def make(self, y: int, width: int) -> tuple[Line, bool]:
        """A row of `width` cells, and whether the cursor is on it; below the last one, nothing."""
        raise NotImplementedError

    def refresh_changed(self) -> None:
        """Make the rows in view anew, and redraw those that differ."""
        top = self.scroll_offset.y
        inside, width = self.scrollable_content_region.width, self.size.width
        made = {y: self.make(y, inside) for y in range(top, top + self.size.height)}
        regions = [
            Region(0, y - top, width, 1) for y, row in made.items() if self._made.get(y) != row
        ]
        self._made = made
        if regions:
            self.refresh(*regions)

    def forget(self) -> None:
        """Every row is made anew, for another width."""
        self._made.clear()

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some rows in view, painted."""
        top = self.scroll_offset.y
        return self._painted.strips(self, crop, lambda y: self._row(y + top))

    def render_line(self, y: int) -> Strip:
        """One of them."""
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _row(self, place: int) -> Row:
        line, under = self._made.get(place) or self.make(
            place, self.scrollable_content_region.width
        )
        return line, self._palette.cursor if under else self._palette.plain
