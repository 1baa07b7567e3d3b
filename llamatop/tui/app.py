"""The app: moves the pump, draws frames, hands each order to the room that knows it, and leaves.

It folds nothing itself: everything shown comes from `pump.session` at each frame. What is shown
changes in `changing`; a live run is acted on in `steering`, a replay in `playback`; what a person
looks at is chosen in `looking`. Nothing heavy may be imported here, since the first paint waits
for it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from textual import constants, events
from textual.actions import ActionParseResult, parse
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.driver import Driver
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import Input

from llamatop.events.sanitize import one_line
from llamatop.recording.bookmarks import Bookmarks
from llamatop.run.controls import Launcher, Live, Orders, Recorder, Stage
from llamatop.run.pump import Pump
from llamatop.settings.config import WATCHED, RunConfig
from llamatop.tui import command_palette
from llamatop.tui.changing import Changing
from llamatop.tui.drawing import themes
from llamatop.tui.drawing.lines import clip
from llamatop.tui.drawing.paint import Harmless
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.drawing.plain import for_poor_terminals
from llamatop.tui.monitor.frame import Frame, nothing_runs
from llamatop.tui.monitor.keys import COMMANDS, Command, bindings, commands, orders
from llamatop.tui.monitor.views.footer import Key, keys_of
from llamatop.tui.terminal.leaving import HUNG_UP, let_go, on_signals, wind_down
from llamatop.tui.terminal.meter import Meter, OwnCost
from llamatop.tui.terminal.pace import Pace

if TYPE_CHECKING:
    from llamatop.reports.runs import Run
    from llamatop.run.replay import Replay
    from llamatop.run.trial import Trial
    from llamatop.tui.monitor.panels import Panel, Transport
    from llamatop.tui.monitor.playback import Player
    from llamatop.tui.monitor.showing import Showing
    from llamatop.tui.monitor.table import RequestTable


_ORDERS = orders(COMMANDS)

ATTACH = "attached"
"""The id of the screen of watched servers."""


@runtime_checkable
class Shows(Protocol):
    """A screen that draws frames itself."""

    def show(self, frame: Frame) -> None:
        """Draw a frame."""

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""


class Ground(Screen[None]):
    """What the monitor fills."""

    BLANK = True


class LlamatopApp(App[None]):
    """One screen for a live run and for a replay."""

    TITLE = "llamatop"
    ENABLE_COMMAND_PALETTE = True
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(COMMANDS),
        Binding("ctrl+z", "suspend_process", "halt", show=False, priority=True),
    ]
    CSS = (
        """
    Screen { overflow: hidden; }
    ToastRack { margin-bottom: 0; max-height: 2; overflow: hidden; }
    Toast { width: 100%; max-width: 100%; max-height: 2; margin: 0; padding: 0 1; }
    """
        + command_palette.CSS
    )

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
        trial: Trial | None = None,
        theme: str | None = None,
        refresh_hz: float = 10,
        meter: Meter | None = None,
    ) -> None:
        super().__init__()
        self._launcher = launcher
        self._comparing, self._trial = comparing, trial
        self.problems: list[str] = []
        """A line for each theme that could not be used."""
        self._nets = [Harmless(), *for_poor_terminals(self.console.color_system)]
        self._meter = meter or OwnCost()
        self._pace = Pace(refresh_hz, self.tick)
        self._leaving = False
        self._styled = False
        """Whether a theme is in use, so that another has to be read in its place."""
        self._untold = False
        """Whether what is shown may yet turn out to be of watched servers."""
        self._load_themes(theme)
        stage = Stage(pump, live, replay, recorder, bookmarks or Bookmarks())
        defaults = start_defaults or WATCHED
        self.changing = Changing(
            self,
            stage,
            show=self._show_stage,
            begun=self._begun,
            launcher=launcher,
            defaults=defaults,
        )
        self.showing: Showing | None = None
        """None while a person chooses what to show first."""
        if not self.changing.idle:
            self._take(stage)

    def _take(self, stage: Stage) -> Showing:
        """Show this from now on, on a monitor of its own."""
        from llamatop.tui.monitor.showing import Showing  # noqa: PLC0415  (not for the start screen)

        palette = Palette(self.current_theme)
        self.showing = Showing(
            stage, palette, self._keys, self.draw, tell=self._tell, after=self.set_timer
        )
        return self.showing

    async def _show_stage(self, stage: Stage) -> None:
        """Put another monitor in the place of this one."""
        before, showing = self.showing, self._take(stage)
        if before is not None:
            await before.monitor.remove()
        await self.screen_stack[0].mount(showing.monitor)
        showing.monitor.table.focus()
        self._watch()

    def _watch(self) -> None:
        """Watched servers have a screen of their own, before the monitor."""
        if self.screen_stack[-1].id == ATTACH:
            self.pop_screen()
        self._untold = not self.stage.told
        if self.stage.watches:
            from llamatop.tui.attach.screen import AttachScreen  # noqa: PLC0415  (where it is needed)

            palette = Palette(self.current_theme)
            replay = self.stage.replay is not None
            self.push_screen(AttachScreen(palette, replay=replay, id=ATTACH))

    @property
    def stage(self) -> Stage:
        """What is shown."""
        return self.changing.stage

    @property
    def pump(self) -> Pump:
        """Of what is shown."""
        return self.stage.pump

    @property
    def _player(self) -> Player | None:
        return self.showing.player if self.showing is not None else None

    @property
    def live(self) -> Live | None:
        """The run that is shown; None for a replay."""
        return self.stage.live

    def get_default_screen(self) -> Screen[None]:
        """Under the monitor nothing need be drawn."""
        return Ground(id="_default")

    def compose(self) -> ComposeResult:
        """The monitor fills the screen."""
        if self.showing is not None:
            yield self.showing.monitor

    def get_driver_class(self) -> type[Driver]:
        """Textual's own, made to last where terminals vanish."""
        if sys.platform == "win32" or constants.DRIVER is not None:
            return super().get_driver_class()
        from llamatop.tui.terminal.vanishing import LastingDriver  # noqa: PLC0415  (it needs termios)

        return LastingDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, the last net under all text, and what a poor terminal needs."""
        return [*super().get_line_filters(), *self._nets]

    # Frames

    def on_mount(self) -> None:
        """Draw at once; the run begins behind the first paint."""
        on_signals(self.leave, self.hang_up)
        if self._comparing:
            self.changing.compare(self._comparing)
        elif self._trial is not None:
            self.changing.turn(self._trial)
        elif self.showing is None:
            self.changing.choose()
        else:
            self.showing.monitor.table.focus()
            self._watch()
            self.draw()
        self._pace.begin(self)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._styled = True
        gc.enable()
        gc.freeze()  # what the first paint needed stays: no collection need look at it again
        gc.set_threshold(20_000)  # a frame takes thousands of objects and gives nearly all back
        if self.problems:
            self.notify("; ".join(self.problems), severity="warning")
        self.changing.begin()

    def _begun(self) -> None:
        if (player := self._player) is not None:
            player.find_marks()
            player.prepare()
        self.tick()

    def tick(self) -> None:
        """Move what has arrived, and draw what changed; nothing once the screens are closed."""
        if self._leaving or not self.screen_stack:
            return
        if (player := self._player) is not None:
            player.settle()
        self.pump.step()
        if self._untold and self.stage.told and len(self.screen_stack) == 1:
            self._watch()
        self._meter.frame(self.draw)
        self._meter.lag(self.pump.behind, self.pump.late)
        self._pace.suit(self.pump.session if self.live is not None else None)

    def draw(self) -> None:
        """Draw the session as it stands."""
        frame = self.frame()
        top = self.screen
        if isinstance(top, Shows):
            top.show(frame)
        if self.showing is not None and (not isinstance(top, Shows) or top.is_modal):
            self.showing.monitor.show(frame)

    def frame(self) -> Frame:
        """What is shown now."""
        cost = self._meter.told()
        if self.showing is None:
            return nothing_runs(cost)
        return self.showing.frame(cost, self._leaving)

    def _keys(self, frame: Frame) -> list[Key]:
        return keys_of(frame, self.live is not None)

    # Orders

    async def on_event(self, event: events.Event) -> None:
        """A key of the monitor acts at once, before the next is given to whoever has the keys.

        Otherwise what is typed right behind `/` or `m` would act as keys too.
        """
        if isinstance(event, events.Key) and not event.is_forwarded and self._has_keys():
            action = _ORDERS.get(event.key)
            if action is not None:
                await self.run_action(action)
                return
        await super().on_event(event)

    def _has_keys(self) -> bool:
        """Whether keys are the monitor's: nothing lies over it, and no filter is typed."""
        alone = self.showing is not None and len(self.screen_stack) == 1
        return alone and not isinstance(self.focused, Input)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Give an order to the room that knows it; what none knows is an action of the app."""
        if default_namespace in (None, self):
            _, name, values = parse(action) if isinstance(action, str) else action
            for orders in self._rooms():
                if name in orders:
                    orders[name](*values)
                    if self.showing is not None and orders is self.showing.acting:
                        self.tick()
                    return True
        return await super().run_action(action, default_namespace, namespaces)

    def _rooms(self) -> list[Orders]:
        if self.showing is None:
            return [self.changing.orders]
        return [self.showing.acting, self.showing.looking.orders, self.changing.orders]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Tell it in the two lowest rows, where nothing is read or edited; the newest stays.

        Where the second is the bar of a replay, in the lowest alone.
        """
        told = one_line(f"{title}: {message}" if title else message)
        if self.stage.replay is not None and len(self.screen_stack) == 1:
            told = clip(told, self.size.width - 3)
        self.clear_notifications()
        for screen in self.screen_stack:  # what held an older one would keep its row
            screen.query("ToastHolder").remove()
        super().notify(told, severity=severity, timeout=timeout, markup=False)

    def _tell(self, title: str, line: str) -> None:
        self.notify(line, title=title)

    def on_transport_sought(self, message: Transport.Sought) -> None:
        """A person pointed into the transport bar."""
        if (player := self._player) is not None:
            player.seek(message.position)
            self.tick()

    def on_panel_picked(self, message: Panel.Picked) -> None:
        """A click on a panel, or two."""
        if self.showing is not None:
            looking = self.showing.looking
            looking.maximise(message.panel) if message.twice else looking.focus(message.panel)

    def on_request_table_opened(self, message: RequestTable.Opened) -> None:
        """A double click on a row."""
        if self.showing is not None:
            self.showing.looking.open(message.request)

    def action_focus_next(self) -> None:
        """Tab: the keys for the next panel; elsewhere what it is with Textual."""
        self._turn_focus(1, super().action_focus_next)

    def action_focus_previous(self) -> None:
        """The same backwards."""
        self._turn_focus(-1, super().action_focus_previous)

    def _turn_focus(self, direction: int, otherwise: Callable[[], None]) -> None:
        if self.showing is not None and len(self.screen_stack) == 1:
            self.showing.looking.focus_on(direction)
        else:
            otherwise()

    def action_export(self) -> None:
        """A picture of the screen as it is, and the charts of the run so far."""
        from llamatop.reports.runs import run_of  # noqa: PLC0415  (not for the first paint)
        from llamatop.tui.monitor.exporting import export  # noqa: PLC0415

        taken = self.pump.session.copy()
        self.run_worker(export(self, self._launcher, lambda: [run_of(taken)]))

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.monitor.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        shown = self._commands()
        self.push_screen(HelpScreen(Palette(self.current_theme), shown))
        self.call_after_refresh(self.draw)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that has a key."""
        return command_palette.listed(screen, self._commands(), self.run_action)

    def _commands(self) -> list[Command]:
        servers = bool(self.pump.session.watched)
        return commands(self.stage.replay is not None, self.live is not None, servers)

    # Themes

    def _load_themes(self, wanted: str | None) -> None:
        loaded, self.problems = themes.load_themes(themes.folders())
        for theme in loaded.values():
            self.register_theme(theme)
        self._theme_names = list(loaded) or [self.theme]
        self.theme = themes.choose(wanted, self._theme_names, self.problems)
        self.stylesheet.set_variables(self.get_css_variables())

    def refresh_css(self, animate: bool = True) -> None:
        """Read the styles anew in another theme's colours; the first is there from the first on."""
        if self._styled:
            super().refresh_css(animate)

    def watch_theme(self) -> None:
        """Every part is painted anew."""
        if self.is_running:
            palette = Palette(self.current_theme)
            if self.showing is not None:
                self.showing.monitor.repaint(palette)
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

    def hang_up(self) -> None:
        """The terminal is gone: leave. Told by a signal and by each thread that meets it."""
        if not self._leaving:
            self.leave(HUNG_UP)

    async def _wind_down(self, code: int) -> None:
        await wind_down(self.pump, self.live)
        self.exit(return_code=code)


def run_app(app: LlamatopApp) -> tuple[int, list[str]]:
    """Run it in this terminal; the exit code, and what libraries of this process wrote meanwhile.

    However it ends, the run's children end too.
    """
    # not where pictures are made
    from llamatop.tui.terminal.aside import aside  # noqa: PLC0415
    from llamatop.tui.terminal.guardian import guarded  # noqa: PLC0415

    try:
        with aside() as written, guarded():
            app.run()
    finally:
        if app.live is not None:
            app.live.close()
        if app.return_code == HUNG_UP:
            let_go()
    return app.return_code or 0, written
