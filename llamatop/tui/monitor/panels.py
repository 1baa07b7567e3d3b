"""The drawn parts of the screen: header, panels, transport bar. Content is the views'."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views import history
from llamatop.tui.monitor.views.events import events as events_view
from llamatop.tui.monitor.views.events import scrolled
from llamatop.tui.monitor.views.header import header
from llamatop.tui.monitor.views.panel import Content, framed
from llamatop.tui.monitor.views.transport import time_at, transport

View = Callable[[Frame, int, int], Content]

Turn = Callable[[Frame, int], None]
"""What the keys for moving change in a panel that has the focus, by so many steps."""

_NOTCH = 3
"""Stories that one turn of the wheel moves."""


class Header(Drawn[Frame]):
    """What runs where, and what it is doing."""

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `views.header`."""
        return header(frame, width, height)


class Panel(Drawn[Frame]):
    """A framed panel that shows a view."""

    class Picked(Message):
        """A person clicked into a panel; `twice`: to see it alone."""

        def __init__(self, name: str, *, twice: bool) -> None:
            super().__init__()
            self.panel, self.twice = name, twice

    def __init__(
        self, palette: Palette, number: int, title: str, view: View, turned: Turn | None = None
    ) -> None:
        super().__init__(palette, id=title.lower())
        self._number, self._title, self._view, self._turned = number, title, view, turned
        self._framed_for: tuple[Content, int, int, bool] | None = None
        self._framed: list[Line] = []

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """The view in its frame, which shows whether keys act on it."""
        content = self._view(frame, max(width - 2, 0), max(height - 2, 0))
        choices = frame.choices
        focused = choices.focus == self.id and choices.maximised is None
        if (content, width, height, focused) != self._framed_for:
            self._framed_for = content, width, height, focused
            self._framed = framed(
                self._number, self._title, content, width, height, focused=focused
            )
        return self._framed

    def turn(self, steps: int) -> None:
        """What the keys for moving do here, down where positive."""
        if self._turned is not None and self._frame is not None:
            self._turned(self._frame, steps)

    def page(self, pages: int) -> None:
        """The same by screens, where there is more than one."""
        self.turn(pages)

    def on_click(self, event: events.Click) -> None:
        """A click gives it the keys; a double click maximises, and restores."""
        self.post_message(self.Picked(self.id or "", twice=event.chain == 2))


class EventsPanel(Panel):
    """What happened; stays at the newest until a person scrolls up."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, 5, "Events", events_view)

    def turn(self, stories: int) -> None:
        """Scroll by so many, up where negative."""
        if (frame := self._frame) is not None:
            size = (max(self.size.width - 2, 0), max(self.size.height - 2, 0))
            frame.choices.told_until = scrolled(frame, stories, *size)
            self.show(frame)

    def page(self, pages: int) -> None:
        """Scroll by so many screens."""
        self.turn(pages * max(self.size.height - 3, 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel goes back."""
        event.stop()
        self.turn(-_NOTCH)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel goes on, to the newest at last."""
        event.stop()
        self.turn(_NOTCH)


def _watched(frame: Frame, width: int, height: int) -> Content:
    """See `views.watched`."""
    from llamatop.tui.monitor.views.watched import watched  # noqa: PLC0415  (not for the first paint)

    return watched(frame, width, height)


class WatchedPanel(Panel):
    """What the servers tell: over time, or every value and where it comes from."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, 6, "Watched", _watched, history.turned)

    def turn(self, steps: int) -> None:
        """Another stretch of time; where values are listed, scroll by so many rows."""
        frame = self._frame
        if frame is None or frame.choices.origins is None:
            super().turn(steps)
            return
        from llamatop.tui.monitor.views.origins import last_first  # noqa: PLC0415
        from llamatop.tui.monitor.views.watched import origins_of  # noqa: PLC0415

        last = last_first(origins_of(frame), self.size.width - 2, self.size.height - 2)
        frame.choices.origins = min(max(frame.choices.origins + steps, 0), last)
        self.show(frame)

    def page(self, pages: int) -> None:
        """The same by screens."""
        listed = self._frame is not None and self._frame.choices.origins is not None
        self.turn(pages * max(self.size.height - 3, 1) if listed else pages)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel goes up the list."""
        self._scroll(event, -_NOTCH)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel goes down the list."""
        self._scroll(event, _NOTCH)

    def _scroll(self, event: events.MouseEvent, rows: int) -> None:
        if self._frame is not None and self._frame.choices.origins is not None:
            event.stop()
            self.turn(rows)


class Transport(Drawn[Frame]):
    """Where a replay stands; a click or a drag seeks."""

    class Sought(Message):
        """A person pointed at a time (ns)."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `views.transport`."""
        return [transport(frame.playback, width)] if frame.playback else []

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Seek, and follow the mouse until it is let go."""
        self.capture_mouse()
        self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Seek along while held."""
        if self.app.mouse_captured is self:
            self._point(event.x)

    def on_mouse_up(self) -> None:
        """Let go."""
        self.release_mouse()

    def _point(self, x: int) -> None:
        playback = self._frame.playback if self._frame else None
        time = time_at(playback, x, self.size.width) if playback else None
        if time is not None:
            self.post_message(self.Sought(time))
