"""A compare screen of made-up runs on a manual clock, in an app that does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from textual.app import App
from textual.filter import LineFilter
from textual.pilot import Pilot

from llamatop.events.clock import ManualClock
from llamatop.reports.runs import Run, run_of
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.tui.compare.judging import Judged, judge
from llamatop.tui.compare.screen import CompareScreen, Judge
from llamatop.tui.compare.state import Comparing
from llamatop.tui.drawing import themes
from llamatop.tui.drawing.paint import Harmless
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.frame_figures import Figures
from tests.reports.samples import events, stretched, with_memory, with_model


@cache
def pair(factor: float = 1.25, model: str = "demo") -> list[Run]:
    """A run, and the same again so many times as slow."""
    first = with_memory(events((2, 8), requests=64))
    other = with_model(with_memory(stretched(events((2, 8), requests=64, seed=1), factor)), model)
    return [run_of(fold(first), "before"), run_of(fold(other), "after")]


@cache
def several(count: int) -> list[Run]:
    """So many runs, each slower than the one before; the last ran one level only."""
    made = [
        stretched(events((2, 8) if i < count - 1 else (8,), requests=32, seed=i), 1 + i / 4)
        for i in range(count)
    ]
    return [run_of(fold(of), f"run-{i}") for i, of in enumerate(made)]


_JUDGED: dict[tuple[int, int], tuple[Run, Run, Judged]] = {}
"""With the runs themselves, so that no other gets their ids."""


def judged_once(baseline: Run, other: Run) -> Judged:
    """What `judge` says; of runs that many tests show it is worked out for the first."""
    both = id(baseline), id(other)
    if both not in _JUDGED:
        _JUDGED[both] = baseline, other, judge(baseline, other)
    return _JUDGED[both][-1]


class CompareApp(App[object]):
    """Shows the screen, and ends with what it was dismissed with."""

    CSS = "Screen { background: $background; }"

    def __init__(self, runs: Sequence[Run], judge: Judge = judged_once) -> None:
        super().__init__()
        loaded, _ = themes.load_themes(themes.folders())
        self.register_theme(loaded[themes.DEFAULT])
        self.theme = themes.DEFAULT
        self.clock = ManualClock()
        self.shown = CompareScreen(Palette(self.current_theme), runs, clock=self.clock, judge=judge)
        self.dismissed: list[object] = []

    def on_mount(self) -> None:
        self.push_screen(self.shown, self.dismissed.append)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), Harmless()]

    @property
    def comparing(self) -> Comparing:
        return self.shown.comparing

    def tick(self) -> None:
        """A frame, as the app draws ten of in a second."""
        self.shown.show(Frame(Session(), Figures()))

    def rows(self) -> list[str]:
        """What stands on the screen."""
        return ["".join(s.text for s in strip) for strip in self.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.rows())


async def judged(pilot: Pilot[object]) -> None:
    """Every comparison is worked out, and drawn."""
    app = pilot.app
    assert isinstance(app, CompareApp)
    for _ in range(1000):
        await pilot.pause(0.01)
        if not app.comparing.computing:
            await pilot.pause()
            return
    raise AssertionError("the comparisons never came")
