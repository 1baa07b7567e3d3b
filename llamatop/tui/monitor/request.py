"""The screen of one request; what it shows is `views.request`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.footer import Footer
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.panels import Transport
from llamatop.tui.monitor.views.footer import Key
from llamatop.tui.monitor.views.request import request_page


class RequestPage(Drawn[Frame]):
    """One request by itself."""

    DEFAULT_CSS = """
    RequestPage { width: 100%; height: 1fr; }
    """

    def __init__(self, palette: Palette, request: int) -> None:
        super().__init__(palette, id="request")
        self.request = request
        """Its id."""

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        """See `views.request`."""
        return request_page(frame, self.request, width, height)


class RequestScreen(Screen[None]):
    """Opened with Enter, closed with Escape; goes on while the run does.

    Of a replay it has the transport bar too.
    """

    DEFAULT_CSS = """
    RequestScreen { layout: vertical; background: $background; }
    RequestScreen Footer, RequestScreen Transport { width: 100%; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,backspace", "dismiss", show=False)
    ]

    def __init__(
        self,
        palette: Palette,
        request: int,
        keys: Callable[[Frame], list[Key]],
        transport: bool = False,
    ) -> None:
        super().__init__()
        self._page = RequestPage(palette, request)
        self._parts: list[Drawn[Frame]] = [
            self._page,
            *([Transport(palette, id="transport")] if transport else []),
            Footer(palette, lambda frame: [_BACK, _OTHERS, *_without_open(keys(frame))]),
        ]

    def compose(self) -> ComposeResult:
        """The page over the transport bar and the footer."""
        yield from self._parts

    def turn_to(self, request: int) -> None:
        """Another request, from the next frame on."""
        self._page.request = request

    def show(self, frame: Frame) -> None:
        """Draw the request as it stands."""
        for part in self._parts:
            part.show(frame)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        for part in self._parts:
            part.repaint(palette)


_BACK = Key("esc", "back", "dismiss_screen")
_OTHERS = Key("↑↓", "others", "move(1)")
_ELSEWHERE = {"open", "filter", "order", "zoom(1)", "cancel", "focus_on(1)", "move(1)"}


def _without_open(keys: list[Key]) -> list[Key]:
    """The keys that make sense here too."""
    return [k for k in keys if k.action not in _ELSEWHERE and not k.action.startswith("maximise")]
