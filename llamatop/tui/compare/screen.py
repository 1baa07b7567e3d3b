"""The compare screen: recordings side by side, played together, and what sets them apart.

It paints at once; the comparisons are worked out in a thread. Dismissed with whether to leave
llamatop: False for going back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen

from llamatop.events.clock import Clock
from llamatop.events.sanitize import one_line
from llamatop.reports.runs import Run
from llamatop.run.controls import Launcher
from llamatop.session.reducer import Session
from llamatop.tui.compare.body import CompareBody
from llamatop.tui.compare.judging import Judged, judge
from llamatop.tui.compare.keys import COMMANDS
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.keys import Command, bindings, orders
from llamatop.tui.monitor.panels import Panel, Transport

if TYPE_CHECKING:
    from llamatop.run.trial import Trial

Judge = Callable[[Run, Run], Judged]

_ELSEWHERE = frozenset({"ctrl+q", "ctrl+c", "ctrl+p"})
"""The app's own keys that work here too."""


class Found(Message):
    """A comparison is worked out, or cannot be, and `problem` says why."""

    def __init__(self, other: int, judged: Judged | None, problem: str = "") -> None:
        super().__init__()
        self.other, self.judged, self.problem = other, judged, problem


class CompareScreen(Screen[bool]):
    """Two to six recordings, the first of them the baseline."""

    DEFAULT_CSS = """
    CompareScreen { background: $background; overflow: hidden; }
    """
    AUTO_FOCUS = ""
    KEYS: ClassVar[Sequence[Command]] = COMMANDS
    BINDINGS: ClassVar[list[BindingType]] = bindings(COMMANDS)

    def __init__(
        self,
        palette: Palette,
        runs: Sequence[Run],
        *,
        launcher: Launcher | None = None,
        clock: Clock | None = None,
        judge: Judge = judge,
        trial: Trial | None = None,
    ) -> None:
        super().__init__()
        self.comparing = Comparing(runs, clock, trial)
        self.commands: Sequence[Command] = self.KEYS
        """For the palette."""
        self._launcher = launcher
        self._judge = judge
        self._palette = palette
        self._body = CompareBody(palette, self.comparing)

    def compose(self) -> ComposeResult:
        """One widget holds it all, under whatever the app lays over it."""
        yield self._body

    def on_mount(self) -> None:
        """Paint, then compute."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._body.show()
        compute = Thread(
            target=_compute, args=(self._judge, self._runs(), self), name="compare", daemon=True
        )
        compute.start()

    def _runs(self) -> list[Run]:
        return [tape.run for tape in self.comparing.tapes]

    def show(self, frame: Frame) -> None:
        """Move on and draw; called for every frame of the app."""
        if self.comparing.deck.move():
            self._body.show(frame)
        else:
            self._body.show_cost(frame)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        self._palette = palette
        self._body.repaint(palette)

    @on(Found)
    def take(self, message: Found) -> None:
        """Show a comparison that is worked out."""
        if message.judged is not None:
            self.comparing.found(message.other, message.judged)
        else:
            self.comparing.failed(message.problem)
        self._body.show()

    def on_key(self, event: events.Key) -> None:
        """What has no meaning here must not reach what is behind."""
        if event.key not in orders(self.commands) and event.key not in _ELSEWHERE:
            event.stop()
            event.prevent_default()

    @on(Transport.Sought)
    def seek(self, message: Transport.Sought) -> None:
        """A person pointed into the transport bar."""
        message.stop()
        self.comparing.deck.seek(message.position)
        self._body.show()

    @on(Panel.Picked)
    def pick(self, message: Panel.Picked) -> None:
        """A double click on a panel."""
        message.stop()
        self.action_maximise(message.panel)

    def action_deck(self, order: str, *by: float) -> None:
        """Play, pause, go elsewhere, as the deck calls it."""
        getattr(self.comparing.deck, order)(*by)
        self._body.show()

    def action_ends(self, direction: int) -> None:
        """To the start or to the end."""
        self.comparing.deck.seek(self.comparing.deck.length if direction > 0 else 0)
        self._body.show()

    def action_level(self, steps: int) -> None:
        """Look at another level."""
        self.comparing.turn_level(steps)
        self._body.show()

    def action_other(self, steps: int) -> None:
        """Another run in full."""
        self.comparing.turn_focus(steps)
        self._body.show()

    def action_scroll(self, rows: int) -> None:
        """Other rows of the table, or of the set-up where that is alone."""
        self.comparing.scrolled = max(self.comparing.scrolled + rows, 0)
        self._body.show()

    def on_mouse_scroll_down(self) -> None:
        """Rows down."""
        self.action_scroll(1)

    def on_mouse_scroll_up(self) -> None:
        """Rows up."""
        self.action_scroll(-1)

    def action_maximise(self, panel: str) -> None:
        """One panel alone, or all."""
        self.comparing.maximise(panel)
        self._body.show()

    def action_export(self) -> None:
        """A picture of the screen as it is, and the charts of all runs."""
        from llamatop.tui.monitor.exporting import export  # noqa: PLC0415  (not for the first paint)

        self.app.run_worker(export(self.app, self._launcher, self._runs))

    async def action_theme(self) -> None:
        """The next theme."""
        await self.app.run_action("next_theme")

    def action_back(self) -> None:
        """All panels, then all runs, then back to the list."""
        if self.comparing.back():
            self._body.show()
        else:
            self.action_close()

    def action_close(self) -> None:
        """Back to the list."""
        self.dismiss(False)

    def action_leave(self) -> None:
        """Leave llamatop."""
        self.dismiss(True)

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.monitor.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        page = HelpScreen(self._palette, self.commands)
        self.app.push_screen(page)
        self.app.call_after_refresh(page.show, Frame(Session(), Figures()))


def _compute(how: Judge, runs: Sequence[Run], to: MessagePump) -> None:
    """Post `Found` for one run after another; the thread ends with the program."""
    with suppress(RuntimeError):  # the screen is gone, and its loop
        for other, run in enumerate(runs[1:]):
            to.post_message(_found(how, other, runs[0], run))


def _found(how: Judge, other: int, baseline: Run, run: Run) -> Found:
    """What a strange recording raises is told, not thrown."""
    try:
        return Found(other, how(baseline, run))
    except Exception as error:
        return Found(other, None, one_line(f"not compared: {type(error).__name__}: {error}"))
