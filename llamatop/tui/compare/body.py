"""All parts of the compare screen, each at its place of the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from textual import events
from textual.geometry import Size

from llamatop.session.reducer import Session
from llamatop.tui.compare import differences, histories, rounds, setup
from llamatop.tui.compare.header import header
from llamatop.tui.compare.keys import footer_keys
from llamatop.tui.compare.plan import compare_plan
from llamatop.tui.compare.state import PANELS, Comparing
from llamatop.tui.drawing.box import Box
from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.planned import Planned
from llamatop.tui.monitor.footer import Footer
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.panels import Panel, Transport
from llamatop.tui.monitor.views.panel import Content, framed

View = Callable[[Comparing, int, int], Content]


class CompareHeader(Drawn[Frame]):
    """Which runs, and what sets them apart."""

    def __init__(self, palette: Palette, comparing: Comparing) -> None:
        super().__init__(palette, id="header")
        self._comparing = comparing

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `header`."""
        return header(self._comparing, width, height)


class ComparePanel(Drawn[Frame]):
    """A framed panel that shows a view of the comparison; a double click maximises it."""

    def __init__(self, palette: Palette, comparing: Comparing, number: int, view: View) -> None:
        super().__init__(palette, id=PANELS[number - 1])
        self._comparing, self._number, self._view = comparing, number, view

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """The view in its frame."""
        content = self._view(self._comparing, max(width - 2, 0), max(height - 2, 0))
        title = PANELS[self._number - 1].capitalize()
        return framed(self._number, title, content, width, height)

    def on_click(self, event: events.Click) -> None:
        """A double click maximises, and restores."""
        if event.chain == 2:
            self.post_message(Panel.Picked(self.id or "", twice=True))


class CompareBody(Planned[Frame]):
    """Header, set-up, histories, differences, transport bar, footer."""

    def __init__(self, palette: Palette, comparing: Comparing) -> None:
        self._comparing = comparing
        self._last = Frame(Session(), Figures())
        self._boxed: dict[str, Box] = {}
        over = comparing.trial is None
        parts = [
            CompareHeader(palette, comparing),
            ComparePanel(palette, comparing, 1, setup.setup if over else rounds.rounds),
            ComparePanel(palette, comparing, 2, histories.histories),
            ComparePanel(palette, comparing, 3, differences.differences),
            Transport(palette, id="transport"),
            Footer(palette, lambda _: footer_keys(comparing)),
        ]
        super().__init__(parts, id="compare")

    def boxes(self, size: Size) -> dict[str, Box]:
        """See `compare_plan`."""
        comparing = self._comparing
        over = comparing.trial is None
        wished = setup.rows_wished if over else rounds.rows_wished
        wishes = (
            wished(comparing, max(size.width - 2, 0)) + 2,
            differences.rows_wished(comparing) + 2,
        )
        runs = len(comparing.tapes)
        return compare_plan(size.width, size.height, runs, wishes, comparing.maximised, played=over)

    def show(self, frame: Frame | None = None) -> None:
        """Draw what changed; of `frame` only what the screen costs."""
        cost = self._last.cost if frame is None else frame.cost
        self._last = replace(self._last, cost=cost, playback=self._comparing.deck.playback)
        boxes = self.boxes(self.size)
        if boxes != self._boxed:
            self._boxed = boxes
            self.arrange_anew()
            self.call_after_refresh(self._draw)
        self._draw()

    def show_cost(self, frame: Frame) -> None:
        """Draw what the screen costs, where nothing else is new."""
        self._last = replace(self._last, cost=frame.cost)
        self.parts[-1].show(self._last)

    def _draw(self) -> None:
        self.draw(self._last)

    def on_resize(self, event: events.Resize) -> None:
        """Draw again as soon as the parts have their new sizes."""
        self.call_after_refresh(self._draw)
