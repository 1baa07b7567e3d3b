"""What is shown, and how it becomes something else: chosen, begun, ended, kept.

Runs nothing and reads no file itself: the launcher does, where it may take a while in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line
from llamatop.run.controls import Launcher, Orders, Stage
from llamatop.settings.config import RunConfig, to_choose_from
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.terminal.leaving import wind_down

if TYPE_CHECKING:
    from llamatop.reports.runs import Run
    from llamatop.run.trial import Trial
    from llamatop.tui.start.state import Chosen, Start


class Changing:
    """From one stage to the next.

    `show` puts another stage on the screen of `app`, `begun` draws one that has just begun.
    """

    def __init__(
        self,
        app: App[None],
        stage: Stage,
        *,
        show: Callable[[Stage], Awaitable[None]],
        begun: Callable[[], None],
        launcher: Launcher | None,
        defaults: RunConfig,
    ) -> None:
        self.stage = stage
        """What is shown."""
        self.refusal: InputError | None = None
        """Why what was asked for on the command line cannot be."""
        self._app = app
        self._show = show
        self._begun = begun
        self._launcher = launcher
        self._defaults = defaults
        self._comparing = False
        """Whether runs are compared in front of what is shown."""
        self._opening = False
        """Whether a recording is being opened."""
        self._asked: Start | None = None
        """The start screen as it was left the last time."""
        self.orders: Orders = {"models": self.choose, "record": self.turn_recording}

    @property
    def idle(self) -> bool:
        """Whether nothing is shown, and something can be chosen."""
        nothing = self.stage.live is None and self.stage.replay is None
        return nothing and self._launcher is not None

    def begin(self) -> None:
        """Begin what the app was opened for; what cannot begin ends it."""
        if self.idle and self._launcher is not None:
            if not self._comparing:
                self._launcher.warm()
        else:
            self._begin()

    def _begin(self) -> None:
        live, launcher = self.stage.live, self._launcher
        if live is not None:
            try:
                if launcher is not None and launcher.save and self.stage.recorder is None:
                    self.stage.keep(launcher.record(live.config))
            except InputError as refusal:
                self.refusal = refusal
                self._app.exit(return_code=2)
                return
            live.start()
        self._begun()

    def choose(self) -> None:
        """Choose what to run or replay; what runs goes on meanwhile."""
        self._choose()

    def _choose(self, again: Start | None = None) -> None:
        from llamatop.tui.start.screen import StartScreen  # noqa: PLC0415  (where it is needed)

        if self._launcher is not None and not isinstance(self._app.screen, StartScreen):
            palette = Palette(self._app.current_theme)
            screen = StartScreen(
                palette, to_choose_from(self._defaults), again=again, over=not self.idle
            )
            self._asked = screen.start
            self._app.push_screen(screen, self._chosen)

    def compare(self, runs: Sequence[Run]) -> None:
        """Show runs side by side; what runs goes on meanwhile."""
        from llamatop.tui.compare.screen import CompareScreen  # noqa: PLC0415  (where it is needed)

        self._comparing = True
        palette = Palette(self._app.current_theme)
        screen = CompareScreen(palette, runs, launcher=self._launcher)
        self._app.push_screen(screen, self._compared)

    def turn(self, trial: Trial) -> None:
        """Two settings by turns; nothing else is shown, and leaving it leaves llamatop."""
        from llamatop.tui.compare.turning import TurnsScreen  # noqa: PLC0415  (where it is needed)

        self._comparing = True
        palette = Palette(self._app.current_theme)
        screen = TurnsScreen(palette, trial, launcher=self._launcher)
        self._app.push_screen(screen, lambda _: self._turned(screen.refusal))

    async def _turned(self, refusal: InputError | None) -> None:
        self.refusal = refusal
        await self._app.run_action("leave")

    async def _compared(self, leave: bool | None) -> None:
        self._comparing = False
        if leave:
            await self._app.run_action("leave")
            return
        self._choose(self._asked)  # with its marks
        if self.idle and self._launcher is not None:
            self._launcher.warm()

    async def _open_runs(self, paths: Sequence[Path]) -> None:
        """Read recordings, and compare them."""
        if self._launcher is None:
            return
        try:
            runs = await asyncio.to_thread(self._launcher.runs, paths)
        except InputError as refusal:
            self._refuse(refusal)
        else:
            self.compare(runs)

    async def _chosen(self, chosen: Chosen | None) -> None:
        if isinstance(chosen, tuple):
            self._app.run_worker(self._open_runs(chosen), exclusive=True)
        elif chosen is not None:
            self._app.run_worker(self._change(chosen), exclusive=True)
        elif self.idle:
            await self._app.run_action("leave")
        else:
            self._begun()

    async def _change(self, chosen: RunConfig | Path) -> None:
        """End what is shown, finish its recording, and show what was chosen."""
        launcher, old = self._launcher, self.stage
        if launcher is None:
            return
        if old.records(chosen):  # it is whole only when its run has ended
            await self._end(launcher, old)
        try:
            stage = await asyncio.to_thread(_made, launcher, chosen)
        except InputError as refusal:
            self._refuse(refusal)
            if self.idle:
                launcher.warm()
            return
        if isinstance(chosen, RunConfig) and chosen.engine != "attach":
            self._defaults = chosen
        await wind_down(old.pump, old.live)
        if old.live is not None:
            launcher.ended(old.pump.session)
        if old.replay is not None:
            old.replay.close()
        self.stage = stage
        await self._show(stage)
        self._begin()
        await self._stop_recording(launcher, old)

    async def _end(self, launcher: Launcher, stage: Stage) -> None:
        """End a run that is still shown, and finish its recording."""
        await wind_down(stage.pump, stage.live)
        await self._stop_recording(launcher, stage)

    def _refuse(self, refusal: InputError) -> None:
        """Say why what was chosen cannot be, and let the person go on where they were."""
        self._warn(str(refusal))
        self._choose(self._asked)

    def turn_recording(self) -> None:
        """Stop the recording and keep it; where there is none, begin one."""
        launcher, stage = self._launcher, self.stage
        if launcher is None or stage.live is None or self._opening:
            return
        if stage.recorder is not None:
            self._app.run_worker(self._stop_recording(launcher, stage))
        elif stage.pump.session.ended is not None:
            self._warn("the run is over: there is nothing left to record")
        else:
            self._opening = True
            self._app.run_worker(self._start_recording(launcher, stage, stage.live.config))

    async def _start_recording(self, launcher: Launcher, stage: Stage, config: RunConfig) -> None:
        """Record from now on; where that cannot be, the run goes on."""
        try:
            recorder = await asyncio.to_thread(launcher.record, config)
        except InputError as refusal:
            self._warn(str(refusal))
            return
        finally:
            self._opening = False
        stage.keep(recorder)
        if stage is self.stage:
            self._tell(str(recorder.path), "recording from now on")
        else:  # another stage was chosen meanwhile
            await self._stop_recording(launcher, stage)

    async def _stop_recording(self, launcher: Launcher, stage: Stage) -> None:
        """Finish a stage's recording; a run that was refused leaves none."""
        if (recorder := stage.release()) is not None:
            told = await asyncio.to_thread(launcher.finish, recorder, stage.worth_keeping)
            self._tell(told, "recording stopped")

    def _tell(self, told: str, title: str) -> None:
        if told:
            self._app.notify(one_line(told), title=title, markup=False)

    def _warn(self, told: str) -> None:
        self._app.notify(one_line(told), severity="warning", markup=False)


def _made(launcher: Launcher, chosen: RunConfig | Path) -> Stage:
    """The stage of what was chosen: a recording, read, or a run with its recording, opened."""
    if isinstance(chosen, Path):
        return launcher.replay(chosen)
    stage = launcher.run(chosen)
    try:
        if launcher.save:
            stage.keep(launcher.record(chosen))
    except InputError:
        if stage.live is not None:
            stage.live.close()
        raise
    return stage
