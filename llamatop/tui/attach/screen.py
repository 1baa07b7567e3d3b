"""The attach screen: watched servers, live or replayed, over a monitor that has nothing to show."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from llamatop.events.clock import SECOND
from llamatop.events.kinds import AlertChanged
from llamatop.session.reducer import Session
from llamatop.tui.attach.body import AttachBody
from llamatop.tui.attach.keys import COMMANDS, PLAYING, WATCHING
from llamatop.tui.attach.state import Looking
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.keys import Command, bindings, orders
from llamatop.tui.monitor.panels import Transport

_BOUND = orders(COMMANDS)
_ELSEWHERE = frozenset({"ctrl+q", "ctrl+c", "ctrl+p"})


class AttachScreen(Screen[None]):
    """What watched servers tell; each frame of the app is drawn here."""

    DEFAULT_CSS = """
    AttachScreen { background: $background; overflow: hidden; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMMANDS)

    def __init__(self, palette: Palette, *, replay: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self.looking = Looking()
        self.commands: list[Command] = [*(PLAYING if replay else ()), *WATCHING]
        """For the palette."""
        self._palette = palette
        self._replay = replay
        self._rung = 0
        self._shown: tuple[object, ...] = ()
        self._body = AttachBody(palette, self.looking)

    def compose(self) -> ComposeResult:
        """One widget holds it all."""
        yield self._body

    def on_mount(self) -> None:
        """Paint."""
        self.call_after_refresh(self._body.again)

    def show(self, frame: Frame) -> None:
        """Draw a frame, and ring once for each limit that was broken meanwhile."""
        shown = frame.session.now // (SECOND // 2), frame.playback, frame.keeping, frame.cost
        if shown != self._shown or frame.session is not self._body.frame.session:
            self._shown = shown
            self._body.show(frame)
        told = _broken(frame.session)
        if told > self._rung and not self._replay:
            self.app.bell()
        self._rung = told

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self._body.repaint(palette)

    def on_key(self, event: events.Key) -> None:
        """What has no meaning here must not reach what is behind."""
        if event.key not in _BOUND and event.key not in _ELSEWHERE:
            event.stop()
            event.prevent_default()

    @on(Transport.Sought)
    def seek(self, message: Transport.Sought) -> None:
        """A person pointed into the transport bar: the app knows how to go there."""

    async def action_app(self, order: str) -> None:
        """An order that the app or one of its rooms knows."""
        await self.app.run_action(order)

    def action_move(self, steps: int) -> None:
        """Another row."""
        self.looking.move(steps, self._body.frame.session)
        self._body.again()

    def on_mouse_scroll_down(self) -> None:
        """Rows down."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """Rows up."""
        self.action_move(-1)

    def action_open(self) -> None:
        """Every value of the row, or the table again."""
        self.looking.open()
        self._body.again()

    def action_back(self) -> None:
        """The table again."""
        if self.looking.detail:
            self.action_open()

    def action_zoom(self, steps: int) -> None:
        """Rates over another time."""
        self.looking.zoom(steps)
        self._body.again()

    def action_export(self) -> None:
        """A picture of the screen as it is."""
        from llamatop.tui.monitor.exporting import export  # noqa: PLC0415  (not for the first paint)

        self.app.run_worker(export(self.app, None, list))

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.monitor.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        page = HelpScreen(self._palette, self.commands)
        self.app.push_screen(page)
        self.app.call_after_refresh(page.show, self._body.frame)


def _broken(session: Session) -> int:
    """How many limits have been broken so far."""
    return sum(isinstance(event, AlertChanged) and event.on for event in session.notable)
