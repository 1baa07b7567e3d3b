"""A start screen that finds the same things on every machine, and an app to show it in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.cells import cell_len
from textual.app import App
from textual.filter import LineFilter

from llamatop.reports.fit import Machine
from llamatop.reports.models import Choice
from llamatop.settings.config import RunConfig
from llamatop.tui.drawing import themes
from llamatop.tui.drawing.paint import Harmless
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.start.looks import Looks
from llamatop.tui.start.rows import Kept
from llamatop.tui.start.screen import StartScreen

DEFAULTS = RunConfig(concurrency=(4,), gen_toks=200, endless=True)
MACHINE = Machine("a processor", 2, 17_200_000_000, 25_300_000_000)
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
SCOUT = "meta-llama/Llama-4-Scout-17B-16E-Instruct"
CHOICES = [
    Choice("demo", "bundled", 4_740_000, 9_480_000, 2048),
    Choice("/models/[/x] \x1b[2Jfolder", "folder", None, 5_000_000, None),
    Choice("Qwen/Qwen2.5-0.5B-Instruct", "downloaded", 494_000_000, 988_000_000, 32_768),
    Choice("Qwen/Qwen3-0.6B", "built-in", 596_000_000, 1_192_000_000, 40_960),
    Choice(LLAMA, "built-in", 8_030_261_248, 16_060_522_496, 131_072),
    Choice(SCOUT, "built-in", 108_641_793_536, 217_283_587_072, 10_485_760),
]
KEPT = [
    Kept(
        Path("recordings/2026-11-05-140312-demo.parquet"),
        "demo",
        datetime(2026, 11, 5, 14, 3, 12),
        4_200_000,
        "batch",
        123_456,
    ),
    Kept(
        Path("recordings/[/x].parquet"), "[/x]", datetime(2026, 11, 4, 9, 0), 900, state="cut off"
    ),
]


def looks(choices: Sequence[Choice] = CHOICES, kept: Sequence[Kept] = KEPT) -> Looks:
    return {"machine": lambda: MACHINE, "models": lambda: choices, "recordings": lambda: kept,
            "servers": list}  # fmt: skip


class StartApp(App[object]):
    """Opens the start screen at once, and ends with what it was dismissed with."""

    CSS = "Screen { background: $background; }"

    def __init__(self, found: Looks | None = None, defaults: RunConfig = DEFAULTS) -> None:
        super().__init__()
        loaded, _ = themes.load_themes(themes.folders())
        self.register_theme(loaded[themes.DEFAULT])
        self.theme = themes.DEFAULT
        found = found or looks()
        palette = Palette(self.current_theme)
        self.screen_shown = StartScreen(palette, defaults, looks=lambda: found)
        self.chosen: list[object] = []

    def on_mount(self) -> None:
        self.push_screen(self.screen_shown, self._end)

    def _end(self, chosen: object) -> None:
        self.chosen.append(chosen)
        self.exit(chosen)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), Harmless()]


def shown(app: App[object]) -> list[str]:
    """The screen's rows as text."""
    rows = ["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()]
    assert all(cell_len(row) <= app.size.width for row in rows)
    return rows
