"""The other drawn parts of the start screen; what they show is `start_aside`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from llamatop.events.sanitize import one_line
from llamatop.text.formatting import size
from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line, Span, clip, fitting, line_width, spread
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.panel import Content, framed
from llamatop.tui.start.answering import Answering
from llamatop.tui.start.aside import field_at, settings
from llamatop.tui.start.rows import Kept, Opened
from llamatop.tui.start.state import Start

View = Callable[[Start, int, int], Content]


class StartHeader(Drawn[Frame]):
    """What this screen is for, and the machine."""

    def __init__(self, palette: Palette, start: Start) -> None:
        super().__init__(palette, id="header")
        self._start = start

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """One line."""
        return [header(self._start, width)]


def header(start: Start, width: int) -> Line:
    """Name and news at the left, the machine at the right."""
    first: list[Span] = [(" ", "text"), ("llamatop", "work.bold"), ("  ", "text")]
    if start.told:
        return spread([*first, (clip(one_line(start.told), width - 12), "warn")], [], width)
    first.append(("choose what to run", "dim"))
    room = width - line_width(first) - 3
    return spread(first, [*fitting(_machine(start), room, "   "), (" ", "text")], width)


def _machine(start: Start) -> list[list[Span]]:
    """What there is to run on, most important first."""
    machine = start.machine
    if machine is None:
        return []
    groups: list[list[Span]] = [
        [
            (size(machine.available), "memory"),
            (f" of {size(machine.total)} free", "dim"),
        ],
        [(f"{machine.cores}", "text"), (f" core{'' if machine.cores == 1 else 's'}", "dim")],
    ]
    for gpu in machine.gpus:
        free = f"  {size(gpu.free)} of {size(gpu.total)} free" if gpu.total is not None else ""
        groups.append([(clip(one_line(gpu.name), 28), "text"), (free, "dim")])
    return [*groups, [(clip(one_line(machine.cpu), 44), "dim")]]


class StartPanel(Drawn[Frame]):
    """A framed panel that shows a view."""

    def __init__(self, palette: Palette, start: Start, title: str, view: View) -> None:
        super().__init__(palette, id=title.lower())
        self._start, self._title, self._view = start, title, view

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """The view in its frame."""
        content = self._view(self._start, max(width - 2, 0), max(height - 2, 0))
        return framed(0, self._title, content, width, height)


class StartSettings(StartPanel):
    """The form; where a recording is chosen, what is known of it."""

    class Pointed(Message):
        """A person pointed at a field."""

        def __init__(self, field: int) -> None:
            super().__init__()
            self.field = field

    def __init__(self, palette: Palette, start: Start) -> None:
        super().__init__(palette, start, "Settings", settings)

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """The form in its frame."""
        titles: dict[type, str] = {Kept: "Recording", Answering: "Server"}
        self._title = titles.get(type(self._start.selected), "Settings")
        return super().lines(frame, width, height)

    def on_click(self, event: events.Click) -> None:
        """A click goes to a field."""
        field = field_at(event.x - 1, event.y - 1, self.size.width - 2, self.size.height - 2)
        if field is not None and not isinstance(self._start.selected, Opened):
            self.post_message(self.Pointed(field))
