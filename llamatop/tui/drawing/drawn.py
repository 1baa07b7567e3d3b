"""A widget that is drawn from lines, and redraws only the rows that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.paint import Painted, Row, changed_rows
from llamatop.tui.drawing.palette import Palette

F = TypeVar("F")
"""What one drawing of a screen is made from."""


class Drawn(Widget, Generic[F]):
    """Shows what `lines` returns for the newest frame; subclasses say what that is."""

    DEFAULT_CSS = """
    Drawn { background: $background; color: $foreground; }
    """

    def __init__(self, palette: Palette, *, id: str) -> None:
        super().__init__(id=id)
        self._palette = palette
        self._frame: F | None = None
        self._rows: Sequence[Line] = []
        self._rows_size = Size()
        self._painted = Painted()

    def lines(self, frame: F, width: int, height: int) -> Sequence[Line]:
        """What to draw: `height` lines of `width` cells."""
        raise NotImplementedError

    def show(self, frame: F) -> None:
        """Draw a frame; costs nothing where nothing changed."""
        self._frame = frame
        size = self.size
        if not size:
            return
        rows = self._drawing(frame, size)
        if size != self._rows_size or len(rows) != len(self._rows):
            self._rows, self._rows_size = rows, size
            self.refresh()
            return
        changed = changed_rows(self._rows, rows)
        self._rows = rows
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some rows, painted."""
        size = self.size
        if size != self._rows_size and self._frame is not None:
            self._rows, self._rows_size = self._drawing(self._frame, size), size
        return self._painted.strips(self, crop, self._row)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _row(self, y: int) -> Row:
        return self._rows[y] if y < len(self._rows) else (), self._palette.plain

    def _drawing(self, frame: F, size: Size) -> Sequence[Line]:
        width, height = size
        rows = list(self.lines(frame, width, height))[:height]
        return rows + [()] * (height - len(rows))
