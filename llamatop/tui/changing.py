"""What is shown, and how it becomes something else: chosen, begun, ended, kept.

Runs nothing and reads no file itself: the launcher does, where it may take a while in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.app import App

from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.sanitize import one_line
from llamatop.tui.controls import Launcher, Orders, Stage
from llamatop.tui.leaving import wind_down
from llamatop.tui.palette import Palette


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
        self.orders: Orders = {"models": self.choose, "record": self.stop_recording}

    @property
    def idle(self) -> bool:
        """Whether nothing is shown, and something can be chosen."""
        nothing = self.stage.live is None and self.stage.replay is None
        return nothing and self._launcher is not None

    def begin(self) -> None:
        """Begin what the app was opened for; what cannot begin ends it."""
        if self.idle and self._launcher is not None:
            self._launcher.warm()
        else:
            self._begin()

    def _begin(self) -> None:
        try:
            if self._launcher is not None:
                self._launcher.begin(self.stage)
            elif self.stage.live is not None:
                self.stage.live.start()
        except InputError as refusal:
            self.refusal = refusal
            self._app.exit(return_code=2)
        else:
            self._begun()

    def choose(self) -> None:
        """Choose what to run or replay; what runs goes on meanwhile."""
        from llamatop.tui.start.screen import StartScreen  # noqa: PLC0415  (where it is needed)

        if self._launcher is not None and not isinstance(self._app.screen, StartScreen):
            screen = StartScreen(Palette(self._app.current_theme), self._defaults)
            self._app.push_screen(screen, self._chosen)

    async def _chosen(self, chosen: RunConfig | Path | None) -> None:
        if chosen is not None:
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
        try:
            stage = await asyncio.to_thread(_made, launcher, chosen)
        except InputError as refusal:
            self._warn(str(refusal))
            self.choose()
            return
        if isinstance(chosen, RunConfig):
            self._defaults = chosen
        await wind_down(old.pump, old.live)
        self.stage = stage
        await self._show(stage)
        self._begin()
        self._tell(await asyncio.to_thread(launcher.finish, old))

    def stop_recording(self) -> None:
        """Stop the recording, and keep it."""
        launcher, stage = self._launcher, self.stage
        if launcher is None or stage.recorder is None:
            return
        kept, stage.recorder = Stage(stage.pump, recorder=stage.recorder), None
        stage.pump.sinks.clear()
        self._app.run_worker(self._finish(launcher, kept))

    async def _finish(self, launcher: Launcher, stage: Stage) -> None:
        self._tell(await asyncio.to_thread(launcher.finish, stage))

    def _tell(self, told: str) -> None:
        if told:
            self._app.notify(one_line(told), markup=False)

    def _warn(self, told: str) -> None:
        self._app.notify(one_line(told), severity="warning", markup=False)


def _made(launcher: Launcher, chosen: RunConfig | Path) -> Stage:
    """The stage of what was chosen; reading a recording may take a moment."""
    return launcher.run(chosen) if isinstance(chosen, RunConfig) else launcher.replay(chosen)
