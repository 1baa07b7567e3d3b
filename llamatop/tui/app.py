"""The app: moves the pump, draws frames, hands each order to the room that knows it, and leaves.

It folds nothing itself: everything shown comes from `pump.session` at each frame. What is shown
changes in `changing`; a live run is acted on in `steering`, a replay in `playback`; what a person
looks at is chosen in `looking`. Nothing heavy may be imported here, since the first paint waits
for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

from textual.actions import ActionParseResult, parse
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.screen import Screen
from textual.timer import Timer

from llamatop.bookmarks import Bookmarks
from llamatop.config import RunConfig
from llamatop.pump import Pump
from llamatop.replay import Replay
from llamatop.reports.runs import Run
from llamatop.sanitize import one_line
from llamatop.tui import themes
from llamatop.tui.changing import Changing
from llamatop.tui.controls import Launcher, Live, Orders, Recorder, Stage
from llamatop.tui.exporting import export
from llamatop.tui.figures import Figures
from llamatop.tui.frame import Frame, Keeping
from llamatop.tui.keys import Command, bindings, commands
from llamatop.tui.leaving import on_signals, wind_down
from llamatop.tui.looking import Looking
from llamatop.tui.meter import Meter, OwnCost
from llamatop.tui.monitor import Monitor
from llamatop.tui.paint import Harmless
from llamatop.tui.palette import Palette
from llamatop.tui.panels import Panel, Transport
from llamatop.tui.plain import Plain, only_ascii
from llamatop.tui.playback import Player
from llamatop.tui.steering import Steering
from llamatop.tui.table import RequestTable
from llamatop.tui.views.footer import Key, keys_of

CPU_HZ = 2.0
"""Redraws per second while the engine decodes on the CPU that also draws."""

CPU_NICE = 5
"""How far the screen steps back from such an engine."""


@runtime_checkable
class Shows(Protocol):
    """A screen that draws frames itself."""

    def show(self, frame: Frame) -> None:
        """Draw a frame."""

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""


@runtime_checkable
class Commanded(Protocol):
    """A screen with keys of its own, which it acts on itself."""

    commands: Sequence[Command]


class LlamatopApp(App[None]):
    """One screen for a live run and for a replay."""

    TITLE = "llamatop"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    CSS = """
    Screen { overflow: hidden; }
    """

    def __init__(
        self,
        pump: Pump,
        *,
        live: Live | None = None,
        replay: Replay | None = None,
        recorder: Recorder | None = None,
        bookmarks: Bookmarks | None = None,
        launcher: Launcher | None = None,
        start_defaults: RunConfig | None = None,
        comparing: Sequence[Run] = (),
        theme: str | None = None,
        refresh_hz: float = 10,
        meter: Meter | None = None,
    ) -> None:
        super().__init__()
        self._launcher = launcher
        self._comparing = comparing
        self.problems: list[str] = []
        """A line for each theme that could not be used."""
        self._nets: list[LineFilter] = [Harmless(), *([Plain()] if only_ascii() else [])]
        self._meter = meter or OwnCost()
        self._refresh_hz = refresh_hz
        self._hz = refresh_hz
        self._timer: Timer | None = None
        self._leaving = False
        self._load_themes(theme)
        stage = Stage(pump, live, replay, recorder, bookmarks or Bookmarks())
        defaults = start_defaults or RunConfig()
        self.changing = Changing(
            self,
            stage,
            show=self._show_stage,
            begun=self._begun,
            launcher=launcher,
            defaults=defaults,
        )
        self._take(stage)

    def _take(self, stage: Stage) -> None:
        """Show this from now on, on a monitor of its own."""
        pump, live, replay = stage.pump, stage.live, stage.replay
        self.player = (
            Player(pump, replay, stage.bookmarks, self._tell) if replay is not None else None
        )
        palette = Palette(self.current_theme)
        self.monitor = Monitor(palette, self._keys, transport=replay is not None)
        self.looking = Looking(self.monitor, self.draw)
        self._figures = Figures()
        self._acting: Orders = {}
        if self.player is not None:
            self._acting = self.player.orders
        elif live is not None:
            table = self.monitor.table
            self._acting = Steering(pump, live, lambda: table.selected, self._tell).orders

    async def _show_stage(self, stage: Stage) -> None:
        """Put another monitor in the place of this one."""
        before = self.monitor
        self._take(stage)
        await before.remove()
        await self.screen_stack[0].mount(self.monitor)
        self.monitor.table.focus()

    @property
    def stage(self) -> Stage:
        """What is shown."""
        return self.changing.stage

    @property
    def pump(self) -> Pump:
        """Of what is shown."""
        return self.stage.pump

    @property
    def live(self) -> Live | None:
        """The run that is shown; None for a replay."""
        return self.stage.live

    def compose(self) -> ComposeResult:
        """The monitor fills the screen."""
        yield self.monitor

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, the last net under all text, and ASCII where nothing else is known."""
        return [*super().get_line_filters(), *self._nets]

    # Frames

    def on_mount(self) -> None:
        """Draw at once; the run begins behind the first paint."""
        on_signals(self.leave)
        self.monitor.table.focus()
        if self._comparing:
            self.changing.compare(self._comparing)
        elif self.changing.idle:
            self.changing.choose()
        self.draw()
        self._pace()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        for problem in self.problems:
            self.notify(one_line(problem), severity="warning", markup=False)
        self.changing.begin()

    def _begun(self) -> None:
        if self.player is not None:
            self.player.find_marks()
            self.player.prepare()
        self.tick()

    def tick(self) -> None:
        """Move what has arrived, and draw what changed."""
        if self._leaving:
            return
        if self.player is not None:
            self.player.settle()
        self.pump.step()
        self._meter.frame(self.draw)
        self._step_back()

    def draw(self) -> None:
        """Draw the session as it stands."""
        frame = self.frame()
        top = self.screen
        if isinstance(top, Shows):
            top.show(frame)
        if not isinstance(top, Shows) or top.is_modal:
            self.monitor.show(frame)

    def frame(self) -> Frame:
        """What is shown now."""
        session, recorder = self.pump.session, self.stage.recorder
        self._figures.look(session)
        return Frame(
            session,
            self._figures,
            self.looking.choices,
            self.player.playback if self.player else None,
            Keeping(str(recorder.path), recorder.error) if recorder is not None else None,
            self._meter.told(),
            self._leaving,
        )

    def _step_back(self) -> None:
        """Beside an engine on the CPU, draw rarely and at lower priority."""
        model = self.pump.session.model
        shared = model is not None and model.device == "cpu" and model.engine != "scripted"
        hz = min(self._refresh_hz, CPU_HZ) if shared and self.live is not None else self._refresh_hz
        if hz == self._hz:
            return
        if hz < self._hz:
            with suppress(OSError):
                os.nice(CPU_NICE)
        self._hz = hz
        self._pace()

    def _pace(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(1 / self._hz, self.tick)

    def _keys(self, frame: Frame) -> list[Key]:
        return keys_of(frame, self.live is not None)

    # Orders

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Give an order to the room that knows it; what none knows is an action of the app."""
        if default_namespace in (None, self):
            _, name, values = parse(action) if isinstance(action, str) else action
            for orders in (self._acting, self.looking.orders, self.changing.orders):
                if name in orders:
                    orders[name](*values)
                    if orders is self._acting:
                        self.tick()
                    return True
        return await super().run_action(action, default_namespace, namespaces)

    def _tell(self, title: str, line: str) -> None:
        self.notify(one_line(line), title=title, markup=False)

    def on_transport_sought(self, message: Transport.Sought) -> None:
        """A person pointed into the transport bar."""
        if self.player is not None:
            self.player.seek(message.position)
            self.tick()

    def on_panel_picked(self, message: Panel.Picked) -> None:
        """A double click on a panel."""
        self.looking.maximise(message.panel)

    def on_request_table_opened(self, message: RequestTable.Opened) -> None:
        """A double click on a row."""
        self.looking.open(message.request)

    def action_export(self) -> None:
        """A picture of the screen as it is, and the charts of the run so far."""
        self.run_worker(export(self, self._launcher, self.pump.session))

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        shown = commands(self.player is not None, self.live is not None)
        self.push_screen(HelpScreen(Palette(self.current_theme), shown))
        self.call_after_refresh(self.draw)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that has a key."""
        shown: Sequence[Command] = commands(self.player is not None, self.live is not None)
        of: DOMNode | None = None
        if isinstance(screen, Commanded):
            shown, of = screen.commands, screen
        for command in shown:
            act = partial(self.run_action, command.action, of)
            yield SystemCommand(command.told.capitalize(), f"key: {command.keys}", act)

    # Themes

    def _load_themes(self, wanted: str | None) -> None:
        loaded, self.problems = themes.load_themes(themes.folders())
        for theme in loaded.values():
            self.register_theme(theme)
        self._theme_names = list(loaded) or [self.theme]
        self.theme, problem = themes.choose(wanted, self._theme_names)
        self.problems += [problem] if problem else []

    def watch_theme(self) -> None:
        """Every part is painted anew."""
        if self.is_running:
            palette = Palette(self.current_theme)
            self.monitor.repaint(palette)
            for screen in self.screen_stack:
                if isinstance(screen, Shows):
                    screen.repaint(palette)

    def action_next_theme(self) -> None:
        """The next of the themes, by name."""
        names = self._theme_names
        place = names.index(self.theme) + 1 if self.theme in names else 0
        self.theme = names[place % len(names)]
        self.notify(self.theme, title="theme", timeout=1.5, markup=False)

    # Leaving

    async def action_leave(self) -> None:
        """Leave as soon as the run has ended in good order."""
        self.leave(0)

    def leave(self, code: int) -> None:
        """The same with an exit code; asked twice, at once."""
        if self._leaving:
            self.exit(return_code=code)
            return
        self._leaving = True
        if self.live is not None:
            self.draw()
        self.run_worker(self._wind_down(code), exit_on_error=True)

    async def _wind_down(self, code: int) -> None:
        await wind_down(self.pump, self.live)
        self.exit(return_code=code)


def run_app(app: LlamatopApp) -> int:
    """Run it in this terminal; the exit code. However it ends, the run's children end too."""
    try:
        app.run()
    finally:
        if app.live is not None:
            app.live.close()
    return app.return_code or 0
