"""The bottom row of every screen. What stands in it is `views.footer`'s."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.footer import Hit, Key, footer


class Footer(Drawn[Frame]):
    """The keys that work now; a click on one presses it."""

    def __init__(self, palette: Palette, keys: Callable[[Frame], list[Key]]) -> None:
        super().__init__(palette, id="footer")
        self._keys = keys
        self._hits: list[Hit] = []

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `views.footer`."""
        line, self._hits = footer(frame, self._keys(frame), width)
        return [line]

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        for hit in self._hits:
            if hit.start <= event.x < hit.end:
                await self.app.run_action(hit.action)
