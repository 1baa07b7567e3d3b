"""The monitor: all parts of the screen, each at its place of the plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events
from textual.geometry import Size

from llamatop.tui.drawing.box import Box
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.planned import Planned
from llamatop.tui.monitor.footer import Footer
from llamatop.tui.monitor.frame import Choices, Frame
from llamatop.tui.monitor.panels import EventsPanel, Header, Panel, Transport, WatchedPanel
from llamatop.tui.monitor.plan import PANELS, plan
from llamatop.tui.monitor.table import RequestsPanel, RequestTable
from llamatop.tui.monitor.views import history, latency, memory, throughput
from llamatop.tui.monitor.views.footer import Key

if TYPE_CHECKING:
    from llamatop.tui.monitor.filter import FilterInput


class Monitor(Planned[Frame]):
    """Header, panels, transport bar and footer."""

    BLANK = True

    def __init__(
        self, palette: Palette, keys: Callable[[Frame], list[Key]], transport: bool
    ) -> None:
        self.keys = keys
        """Those that work now, for a frame."""
        self.transport = transport
        """Whether it has a transport bar: it shows a replay."""
        self._palette = palette
        self._last: Frame | None = None
        self.maximised: str | None = None
        self.requests = RequestsPanel(palette)
        self.events = EventsPanel(palette)
        self._panels: dict[str, Panel] = {
            "throughput": Panel(palette, 1, "Throughput", throughput.throughput, history.turned),
            "latency": Panel(palette, 2, "Latency", latency.latency, latency.turned),
            "memory": Panel(palette, 3, "Memory", memory.memory, memory.turned),
            "requests": self.requests,
            "events": self.events,
            "watched": WatchedPanel(palette),
        }
        self._watched = False
        """Whether servers that the run drives tell of themselves."""
        self._broken: set[tuple[int, str, str]] = set()
        """Limits that were broken when it was drawn last."""
        self._filter: FilterInput | None = None
        parts = [
            Header(palette, id="header"),
            *self._panels.values(),
            Transport(palette, id="transport"),
            Footer(palette, keys),
        ]
        super().__init__(parts, id="monitor")

    def boxes(self, size: Size) -> dict[str, Box]:
        """The plan, with the filter's input in the footer's place while it is open."""
        boxes = plan(size.width, size.height, self.transport, self.maximised, self._watched)
        if self._filter is not None and "footer" in boxes:
            boxes["filter"] = boxes.pop("footer")
        return boxes

    @property
    def shown(self) -> list[str]:
        """The panels for which there is room now, in the order of their numbers."""
        boxes = self.boxes(self.size)
        return [name for name in PANELS if name in boxes]

    @property
    def known(self) -> list[str]:
        """All panels that this run has."""
        return [name for name in PANELS if self._watched or name != "watched"]

    def keep_focus(self, choices: Choices) -> None:
        """Keys act on what is shown."""
        if choices.focus not in (shown := self.shown):
            choices.focus = "requests" if "requests" in shown or not shown else shown[0]

    def panel(self, name: str) -> Panel:
        """One of them."""
        return self._panels[name]

    @property
    def table(self) -> RequestTable:
        """The rows of requests."""
        return self.requests.table

    def show(self, frame: Frame) -> None:
        """Draw a frame."""
        self._last = frame
        if self._watched != bool(frame.session.watched):
            self._watched = not self._watched
            self.arrange_anew()
        self._ring(frame)
        self.draw(frame)

    def _ring(self, frame: Frame) -> None:
        """Ring once for each limit of a live run that is broken anew."""
        watched = frame.session.watched.items()
        broken = {(place, *key) for place, server in watched for key in server.alerts}
        if broken - self._broken and frame.playback is None and frame.session.ended is None:
            self.app.bell()
        self._broken = broken

    def maximise(self, panel: str | None) -> None:
        """Give one panel the whole body, or all their places again."""
        self.maximised = panel
        self.arrange_anew()

    def ask_filter(self, choices: Choices, draw: Callable[[], None]) -> None:
        """Open an input in the footer's place; what is typed filters at once."""
        from llamatop.tui.monitor.filter import FilterInput  # noqa: PLC0415  (not for the first paint)

        if self._filter is None:
            self._filter = FilterInput(choices, draw, self._end_filter)
            self.mount(self._filter)
            self.screen.set_focus(self._filter)  # at once: the next key is for it

    def _end_filter(self) -> None:
        if self._filter is not None:
            self._filter.remove()
            self._filter = None
            self.table.focus()
            self.arrange_anew()

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        super().repaint(palette)
        self.table.repaint(palette)

    def on_resize(self, event: events.Resize) -> None:
        """Draw again as soon as the parts have their new sizes; keys act on what is shown."""
        if self._last is not None:
            self.keep_focus(self._last.choices)
            self.call_after_refresh(self.show, self._last)
