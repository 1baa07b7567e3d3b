"""The app: moves the pump, draws frames, turns keys into orders, and leaves in good order.

It folds nothing itself: everything shown comes from `pump.session` at each frame. Nothing heavy
may be imported here, since the first paint waits for it.
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.timer import Timer

from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.pump import Pump
from llamatop.replay import Replay
from llamatop.sanitize import one_line
from llamatop.session import Session
from llamatop.tui import themes
from llamatop.tui.controls import Launcher, Live, Recorder, Stage
from llamatop.tui.figures import LIVE_STEP, STEPS, Figures
from llamatop.tui.frame import ORDERS, Choices, Frame, Keeping
from llamatop.tui.keys import bindings, commands
from llamatop.tui.leaving import on_signals, wind_down
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

SWEEP = (1, 2, 4, 8, 16)
"""Levels of the sweep that a key starts."""

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
class Turns(Protocol):
    """A screen of one request."""

    def turn_to(self, request: int) -> None:
        """Another request."""


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
        launcher: Launcher | None = None,
        start_defaults: RunConfig | None = None,
        theme: str | None = None,
        refresh_hz: float = 10,
        meter: Meter | None = None,
    ) -> None:
        super().__init__()
        self._launcher = launcher
        self._start_defaults = start_defaults or RunConfig()
        self.refusal: InputError | None = None
        """Why what was asked for on the command line cannot be."""
        self._take(Stage(pump, live, replay, recorder))
        self.problems: list[str] = []
        """A line for each theme that could not be used."""
        self._nets: list[LineFilter] = [Harmless(), *([Plain()] if only_ascii() else [])]
        self._meter = meter or OwnCost()
        self._refresh_hz = refresh_hz
        self._hz = refresh_hz
        self._timer: Timer | None = None
        self._leaving = False
        self._load_themes(theme)
        self.monitor = self._new_monitor()

    def _take(self, stage: Stage) -> None:
        """Show this from now on."""
        self.stage = stage
        self.pump = stage.pump
        self.live = stage.live
        self.player = Player(stage.pump, stage.replay) if stage.replay is not None else None
        self.steering = Steering(stage.pump, stage.live) if stage.live is not None else None
        self.choices = Choices()
        self._figures = Figures()

    def _new_monitor(self) -> Monitor:
        palette = Palette(self.current_theme)
        return Monitor(palette, self._keys, transport=self.player is not None)

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
        if self._idle:
            self.action_models()
        self.draw()
        self._pace()
        self.call_after_refresh(self._begin)

    @property
    def _idle(self) -> bool:
        return self.live is None and self.player is None and self._launcher is not None

    def _begin(self) -> None:
        for problem in self.problems:
            self._warn(problem)
        if self._idle and self._launcher is not None:
            self._launcher.warm()
        else:
            self._begin_stage()

    def _begin_stage(self) -> None:
        """Start what was taken; what cannot start ends an app that was opened for it."""
        try:
            if self._launcher is not None:
                self._launcher.begin(self.stage)
            elif self.live is not None:
                self.live.start()
        except InputError as refusal:
            self.refusal = refusal
            self.exit(return_code=2)
            return
        if self.player is not None:
            self.player.find_marks()
        self.tick()

    def _warn(self, problem: str) -> None:
        self.notify(one_line(problem), severity="warning", markup=False)

    # Another model, another run

    def action_models(self) -> None:
        """Choose what to run or replay; what runs goes on meanwhile."""
        from llamatop.tui.start.screen import StartScreen  # noqa: PLC0415  (where it is needed)

        if self._launcher is not None and not isinstance(self.screen, StartScreen):
            screen = StartScreen(Palette(self.current_theme), self._start_defaults)
            self.push_screen(screen, self._chosen)

    def _chosen(self, chosen: RunConfig | Path | None) -> None:
        if chosen is not None:
            self.run_worker(self._change(chosen), exclusive=True)
        elif self._idle:
            self.leave(0)
        else:
            self.draw()

    async def _change(self, chosen: RunConfig | Path) -> None:
        """End what is shown, finish its recording, and show what was chosen."""
        launcher = self._launcher
        if launcher is None:
            return
        try:
            stage = await asyncio.to_thread(_open, launcher, chosen)
        except InputError as refusal:
            self._warn(str(refusal))
            self.action_models()
            return
        if isinstance(chosen, RunConfig):
            self._start_defaults = chosen
        old = self.stage
        await wind_down(self.pump, self.live)
        self._take(stage)
        await self.monitor.remove()
        self.monitor = self._new_monitor()
        await self.screen_stack[0].mount(self.monitor)
        self.monitor.table.focus()
        self._begin_stage()
        if told := await asyncio.to_thread(launcher.finish, old):
            self.notify(one_line(told), markup=False)

    def action_sweep(self) -> None:
        """From here on levels of 1, 2, 4 … requests at once, to the end."""
        if self.live is not None and self.pump.session.model is not None:
            self.live.sweep(SWEEP)
            self.notify("levels " + " ".join(map(str, SWEEP)), title="sweep", markup=False)

    def action_record(self) -> None:
        """Stop the recording, and keep it."""
        recorder, launcher = self.stage.recorder, self._launcher
        if launcher is None or recorder is None:
            return
        stage, self.stage.recorder = Stage(self.pump, recorder=recorder), None
        self.pump.sinks.clear()
        self.run_worker(self._finish(launcher, stage))

    async def _finish(self, launcher: Launcher, stage: Stage) -> None:
        self.notify(one_line(await asyncio.to_thread(launcher.finish, stage)), markup=False)

    def action_export(self) -> None:
        """A picture of the screen as it is, and the charts of the run so far, in a new folder."""
        folder = Path("charts") / f"{datetime.now():%Y-%m-%d-%H%M%S}"
        picture = self.export_screenshot(title="llamatop")
        self.run_worker(self._export(folder, picture, copy.deepcopy(self.pump.session)))

    async def _export(self, folder: Path, picture: str, session: Session) -> None:
        try:
            files = await asyncio.to_thread(_save, self._launcher, folder, picture, session)
        except (OSError, InputError) as error:
            self._warn(f"nothing was exported: {error}")
        else:
            self.notify(f"{files} files in {folder.absolute()}", title="exported", markup=False)

    def tick(self) -> None:
        """Move what has arrived, and draw what changed."""
        if self._leaving:
            return
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
        session = self.pump.session
        self._figures.look(session)
        keeping = None
        recorder = self.stage.recorder
        if recorder is not None:
            keeping = Keeping(str(recorder.path), recorder.error)
        return Frame(
            session,
            self._figures,
            self.choices,
            self.player.playback if self.player else None,
            keeping,
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

    # Orders to the run, or to the replay

    def action_toggle_pause(self) -> None:
        """Hold admission, or playback."""
        if self.player is not None:
            self.player.toggle()
        elif self.steering is not None:
            self.steering.toggle_pause()
        self.tick()

    def action_more(self) -> None:
        """More at once, or faster."""
        self._turn(1)

    def action_less(self) -> None:
        """Fewer at once, or slower."""
        self._turn(-1)

    def _turn(self, direction: int) -> None:
        if self.player is not None:
            self.player.faster(direction)
        elif self.steering is not None:
            self.steering.turn(direction)
        self.tick()

    def action_cancel(self) -> None:
        """Take the selected request back."""
        if self.steering is not None:
            self.steering.cancel(self.monitor.table.selected)
        self.tick()

    def action_seek(self, seconds: float) -> None:
        """Forwards or back in a replay."""
        if self.player is not None:
            self.player.skip(seconds)
            self.tick()

    def action_step(self, direction: int) -> None:
        """To the next event of a replay, or a little back."""
        if self.player is not None:
            self.player.step(direction)
            self.tick()

    def action_to_mark(self, direction: int) -> None:
        """To the next or previous level or failure of a replay."""
        if self.player is not None:
            self.player.to_mark(direction)
            self.tick()

    def on_transport_sought(self, message: Transport.Sought) -> None:
        """A person pointed into the transport bar."""
        if self.player is not None:
            self.player.seek(message.position)
            self.tick()

    # What is shown

    def action_move(self, rows: int) -> None:
        """Move the cursor in the table; an open request gives way to that under the cursor."""
        self.monitor.table.move(rows)
        selected = self.monitor.table.selected
        if isinstance(self.screen, Turns) and selected is not None:
            self.screen.turn_to(selected.id)
            self.draw()

    def action_page(self, pages: int) -> None:
        """Move the cursor by screens."""
        self.monitor.table.page(pages)

    def action_maximise(self, panel: str) -> None:
        """One panel alone, or all again."""
        self._maximise(None if self.choices.maximised == panel else panel)

    def _maximise(self, panel: str | None) -> None:
        self.choices.maximised = panel
        self.monitor.maximise(panel)
        self.call_after_refresh(self.draw)

    def on_panel_picked(self, message: Panel.Picked) -> None:
        """A double click on a panel."""
        self.action_maximise(message.panel)

    def action_order(self) -> None:
        """Sort by the next column."""
        place = ORDERS.index(self.choices.order) + 1
        self.choices.order = ORDERS[place % len(ORDERS)]
        self.draw()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.choices.reverse = not self.choices.reverse
        self.draw()

    def action_zoom(self, steps: int) -> None:
        """Histories over a longer or shorter time."""
        at = self.choices.span if self.choices.span is not None else STEPS.index(LIVE_STEP)
        self.choices.span = min(max(at + steps, 0), len(STEPS) - 1)
        self.draw()

    def action_filter(self) -> None:
        """Ask for the words of the filter."""
        self.monitor.ask_filter(self.choices, self.draw)

    async def action_back(self) -> None:
        """Undo the newest of: filter, maximised panel, zoom."""
        if self.choices.query:
            self.choices.query = ""
        elif self.choices.maximised is not None:
            self._maximise(None)
        else:
            self.choices.span = None
        self.draw()

    def action_open(self) -> None:
        """One request by itself."""
        selected = self.monitor.table.selected
        if selected is not None:
            self._open(selected.id)

    def on_request_table_opened(self, message: RequestTable.Opened) -> None:
        """A double click on a row."""
        self._open(message.request)

    def _open(self, request: int) -> None:
        from llamatop.tui.request import RequestScreen  # noqa: PLC0415  (not for the first paint)

        self.push_screen(RequestScreen(Palette(self.current_theme), request, self._keys))
        self.call_after_refresh(self.draw)

    def action_dismiss_screen(self) -> None:
        """Back to the monitor."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
            self.draw()

    def action_help(self) -> None:
        """All keys."""
        from llamatop.tui.help import HelpScreen  # noqa: PLC0415  (not for the first paint)

        shown = commands(self.player is not None, self.live is not None)
        self.push_screen(HelpScreen(Palette(self.current_theme), shown))
        self.call_after_refresh(self.draw)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that has a key."""
        for command in commands(self.player is not None, self.live is not None):
            act = partial(self.run_action, command.action)
            yield SystemCommand(command.told.capitalize(), f"key: {command.keys}", act)

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


def _open(launcher: Launcher, chosen: RunConfig | Path) -> Stage:
    """The stage of what was chosen; reading a recording may take a moment."""
    return launcher.run(chosen) if isinstance(chosen, RunConfig) else launcher.replay(chosen)


def _save(launcher: Launcher | None, folder: Path, picture: str, session: Session) -> int:
    """Write the picture and, where somebody draws them, the charts; how many files that are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "screen.svg").write_text(picture)
    return 1 + (launcher.charts(session, folder) if launcher is not None else 0)


def run_app(app: LlamatopApp) -> int:
    """Run it in this terminal; the exit code. However it ends, the run's children end too."""
    try:
        app.run()
    finally:
        if app.live is not None:
            app.live.close()
    return app.return_code or 0
