"""All parts of the attach screen, each at its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Size

from llamatop.tui.attach import panels
from llamatop.tui.attach.detail import detail
from llamatop.tui.attach.keys import footer_keys
from llamatop.tui.attach.state import Looking, Row, chosen, rows_of, server_of
from llamatop.tui.attach.table import table
from llamatop.tui.drawing.box import Box
from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.planned import Planned
from llamatop.tui.monitor.footer import Footer
from llamatop.tui.monitor.frame import Frame, nothing_runs
from llamatop.tui.monitor.panels import Transport
from llamatop.tui.monitor.views.panel import Content, framed

View = Callable[[Frame, Looking, Row | None, int, int], Content]

_LOWER = 7
"""Rows that the panels below the table keep, where there are as many."""


class AttachHeader(Drawn[Frame]):
    """What is watched, and what binds it."""

    def __init__(self, palette: Palette, looking: Looking) -> None:
        super().__init__(palette, id="header")
        self._looking = looking

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `panels.header`."""
        row = chosen(frame.session, self._looking)
        return panels.header(frame, self._looking, row, width, height)


class AttachPanel(Drawn[Frame]):
    """A framed view of what is watched."""

    def __init__(
        self,
        palette: Palette,
        looking: Looking,
        name: str,
        title: Callable[[Frame], str],
        view: View,
    ) -> None:
        super().__init__(palette, id=name)
        self._looking, self._title, self._view = looking, title, view

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """The view in its frame."""
        row = chosen(frame.session, self._looking)
        size = max(width - 2, 0), max(height - 2, 0)
        content = self._view(frame, self._looking, row, *size)
        return framed(0, self._title(frame), content, width, height)


class AttachBody(Planned[Frame]):
    """Header, table, rates, slots or latencies, transport bar, footer."""

    def __init__(self, palette: Palette, looking: Looking) -> None:
        self._looking = looking
        self._last = nothing_runs()
        self._planned: tuple[object, ...] = ()
        """What the plan was made of."""
        parts: list[Drawn[Frame]] = [
            AttachHeader(palette, looking),
            AttachPanel(palette, looking, "table", self._title, _table),
            AttachPanel(palette, looking, "rates", self._of("Generated"), _rates),
            AttachPanel(palette, looking, "below", self._below, _below),
            Transport(palette, id="transport"),
            Footer(palette, lambda frame: footer_keys(frame, looking.detail)),
        ]
        super().__init__(parts, id="attach")

    def show(self, frame: Frame) -> None:
        """Draw a frame; by another plan where there are other rows."""
        self._last = frame
        plan = len(rows_of(frame.session)), self._looking.detail, frame.playback is None
        if plan != self._planned:
            self._planned = plan
            self.arrange_anew()
        self.draw(frame)

    def again(self) -> None:
        """What a choice changed."""
        self.arrange_anew()
        self.draw(self._last)

    @property
    def frame(self) -> Frame:
        """The newest."""
        return self._last

    def boxes(self, size: Size) -> dict[str, Box]:
        """Where each part stands."""
        width, height = size
        plan = {"header": Box(0, 0, width, min(2, height)), "footer": Box(0, height - 1, width, 1)}
        bottom = height - 1
        if self._last.playback is not None:
            bottom -= 1
            plan["transport"] = Box(0, bottom, width, 1)
        room = max(bottom - 2, 0)
        if self._looking.detail or room < _LOWER + 4:
            return {**plan, "table": Box(0, 2, width, room)}
        wanted = len(rows_of(self._last.session)) + 3
        upper = min(max(wanted, 4), room - _LOWER)
        half = width // 2 if width >= 72 else width
        plan["table"] = Box(0, 2, width, upper)
        plan["rates"] = Box(0, 2 + upper, half, room - upper)
        if half < width:
            plan["below"] = Box(half, 2 + upper, width - half, room - upper)
        return plan

    def _title(self, frame: Frame) -> str:
        row = chosen(frame.session, self._looking)
        return f"Values of {row.title}" if self._looking.detail and row is not None else "Servers"

    def _of(self, what: str) -> Callable[[Frame], str]:
        def title(frame: Frame) -> str:
            row = chosen(frame.session, self._looking)
            return f"{what} by {row.title}" if row is not None else what

        return title

    def _below(self, frame: Frame) -> str:
        row = chosen(frame.session, self._looking)
        slots = (
            row is not None and row.place is not None and server_of(frame.session, row.place).slots
        )
        return "Slots" if slots else "Latencies"


def _table(frame: Frame, looking: Looking, row: Row | None, width: int, height: int) -> Content:
    if looking.detail and row is not None:
        return detail(frame.session, looking, row, width, height)
    return table(frame.session, looking, width, height)


def _rates(frame: Frame, looking: Looking, row: Row | None, width: int, height: int) -> Content:
    return panels.rates(frame.session, looking, row, width, height)


def _below(frame: Frame, looking: Looking, row: Row | None, width: int, height: int) -> Content:
    return panels.below(frame.session, row, width, height)
