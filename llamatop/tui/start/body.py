"""All parts of the start screen, each at its place of the plan."""

from __future__ import annotations

from textual import events
from textual.geometry import Size

from llamatop.tui.drawing.box import Box
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.planned import Planned
from llamatop.tui.monitor.footer import Footer
from llamatop.tui.monitor.frame import Frame, nothing_runs
from llamatop.tui.monitor.views.footer import Key
from llamatop.tui.start.aside import command
from llamatop.tui.start.command import wrapped
from llamatop.tui.start.keys import footer_keys
from llamatop.tui.start.list import StartList
from llamatop.tui.start.memory import memory
from llamatop.tui.start.panels import StartHeader, StartPanel, StartSettings
from llamatop.tui.start.plan import start_plan
from llamatop.tui.start.rows import Kept, Opened
from llamatop.tui.start.state import Start


class StartBody(Planned[Frame]):
    """Header, list, settings, memory, command, footer."""

    def __init__(self, palette: Palette, start: Start) -> None:
        self._start = start
        self._last = nothing_runs()
        self._replay = False
        self._told = 1
        """Lines of the command that compares."""
        self.list = StartList(palette, start)
        parts = [
            StartHeader(palette, start),
            self.list,
            StartSettings(palette, start),
            StartPanel(palette, start, "Memory", memory),
            StartPanel(palette, start, "Command", command),
            Footer(palette, self._keys),
        ]
        super().__init__(parts, id="start")

    def boxes(self, size: Size) -> dict[str, Box]:
        """See `start_plan`."""
        return start_plan(size.width, size.height, self._replay, self._told)

    @property
    def _comparing(self) -> bool:
        return self._start.comparing and isinstance(self._start.selected, Kept)

    @property
    def has_form(self) -> bool:
        """Whether the settings are on the screen, and can be changed."""
        return not self._replay and "settings" in self.boxes(self.size)

    @property
    def _opens(self) -> str:
        """What Enter does with what is only opened."""
        chosen = self._start.selected
        live = isinstance(chosen, Kept) and chosen.state == "being recorded"
        return "follow" if live else "replay"

    def _keys(self, frame: Frame) -> list[Key]:
        start = self._start
        searching = bool(start.listing.search.text)
        return footer_keys(
            start.in_form,
            searching,
            self._opens if self._replay else "",
            len(start.marked),
            over=start.over,
            picks=bool(start.form.field.options),
        )

    def on_mount(self) -> None:
        """So that the first paint is a whole one."""
        self._draw()

    def show(self, frame: Frame | None = None) -> None:
        """Draw what changed; `frame` tells what the screen costs."""
        self._last = frame or self._last
        replay = isinstance(self._start.selected, Opened)
        told = len(wrapped(self._start.command(), self.size.width - 6)) if self._comparing else 1
        if (replay, told) != (self._replay, self._told):
            self._replay, self._told = replay, told
            self.arrange_anew()
            self.call_after_refresh(self._draw)
        self._draw()

    def _draw(self) -> None:
        self.draw(self._last)

    def on_resize(self, event: events.Resize) -> None:
        """Draw again as soon as the parts have their new sizes; no keys for a form that is gone."""
        self._start.in_form = self._start.in_form and self.has_form
        self.call_after_refresh(self._draw)
