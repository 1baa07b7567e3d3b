"""Two scripted settings by turns on the compare screen."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.app import App
from textual.pilot import Pilot

from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump
from llamatop.run.trial import Trial
from llamatop.run.turns import Limits, Side
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from llamatop.tui.compare.turning import TurnsScreen
from llamatop.tui.drawing import themes
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.frame_figures import Figures

ROUNDS = 2


def trial() -> Trial:
    """Requests of two tokens against requests of six."""
    a, b = (
        RunConfig(engine="scripted", concurrency=(2,), requests=2, prompt_toks=4, gen_toks=toks)
        for toks in (2, 6)
    )
    sides = [
        Side(live, Pump(live, Session()))
        for live in (LiveRun(config, waits=True) for config in (a, b))
    ]
    return Trial((sides[0], sides[1]), ("few", "many"), Limits(ROUNDS))


class TurnsApp(App[None]):
    """Draws frames as the real app does."""

    def __init__(self, of: Trial) -> None:
        super().__init__()
        loaded, _ = themes.load_themes(themes.folders())
        self.register_theme(loaded[themes.DEFAULT])
        self.theme = themes.DEFAULT
        self.shown = TurnsScreen(Palette(self.current_theme), of)

    def on_mount(self) -> None:
        self.push_screen(self.shown)
        self.set_interval(0.02, self.frame)

    def frame(self) -> None:
        self.shown.show(Frame(Session(), Figures()))

    @property
    def text(self) -> str:
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip) for strip in strips)


async def comes(pilot: Pilot[object], condition: Callable[[], object]) -> None:
    """Return once the condition holds; AssertionError when it does not in time."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await pilot.pause(0.01)


async def test_it_shows_the_turns_until_they_are_over_and_what_was_found() -> None:
    of = trial()
    app = TurnsApp(of)
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            await comes(pilot, lambda: of.turns.whose == "b" and "B measures" in app.text)
            assert "nothing is said before the second round" in app.text
            assert "s stop" in app.text
            await comes(pilot, lambda: of.turns.over and " over " in app.text)
            assert f"{ROUNDS} of {ROUNDS} rounds" in app.text
            assert "nothing is said" not in app.text and "│ output tok/s" in app.text
            assert "s stop" not in app.text
    finally:
        of.turns.close(stopped=True)


@pytest.mark.slow
async def test_s_stops_it() -> None:
    of = trial()
    app = TurnsApp(of)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await comes(pilot, lambda: of.turns.turn > 0)
            await pilot.press("s")
            await comes(pilot, lambda: of.turns.over)
            assert of.turns.done < ROUNDS
    finally:
        of.turns.close(stopped=True)
