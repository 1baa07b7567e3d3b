"""The page of keys, over the monitor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.keys import Command
from llamatop.tui.monitor.views.panel import Content, framed

WIDTH = 74


class HelpPage(Drawn[Frame]):
    """The keys and what they do."""

    def __init__(self, palette: Palette, shown: Sequence[Command]) -> None:
        super().__init__(palette, id="help")
        self._shown = shown
        self.styles.width = WIDTH
        self.styles.height = sum(command.page is not None for command in shown) + 2
        self.styles.max_width = "100%"

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """A row for each key, in a frame."""
        pages = [command.page for command in self._shown if command.page is not None]
        rows = [((f" {key:>8}  ", "key.bold"), (words, "text")) for key, words in pages]
        return framed(0, "Keys", Content(rows), width, height)


class HelpScreen(ModalScreen[None]):
    """Closed by nearly any key; scrolls where the screen is lower than the page."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; scrollbar-size-vertical: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,f1", "dismiss", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("up", "scroll_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self, palette: Palette, shown: Sequence[Command]) -> None:
        super().__init__()
        self._page = HelpPage(palette, shown)
        self.styles.overflow_y = "auto"  # the app's screens do not scroll otherwise

    def compose(self) -> ComposeResult:
        """One page."""
        yield self._page

    def show(self, frame: Frame) -> None:
        """Draw it."""
        self._page.show(frame)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._page.repaint(palette)

    def on_click(self) -> None:
        """A click closes it."""
        self.dismiss()
