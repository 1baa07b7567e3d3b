"""A drawn widget: its rows are painted once, and again when they or their colours change."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import BUILTIN_THEMES

from llamatop.tui.drawing.drawn import Drawn
from llamatop.tui.drawing.lines import Line
from llamatop.tui.drawing.paint import Harmless
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame, nothing_runs

DARK, LIGHT = (Palette(BUILTIN_THEMES[name]) for name in ("textual-dark", "textual-light"))


class Words(Drawn[Frame]):
    """A word a row."""

    words: tuple[str, ...] = ("one", "two")

    def lines(self, frame: Frame, width: int, height: int) -> Sequence[Line]:
        return [((word, "text"),) for word in self.words]

    def painted(self) -> list[Strip]:
        return self.render_lines(Region(0, 0, self.size.width, self.size.height))


class Page(App[None]):
    """The widget alone, and what a person presses on it."""

    CSS = "Words { height: 3; width: 12; }"

    def __init__(self) -> None:
        super().__init__()
        self.words = Words(DARK, id="words")
        self._filters.append(Harmless())

    def compose(self) -> ComposeResult:
        yield self.words


async def test_a_row_is_painted_again_only_when_it_changes() -> None:
    page = Page()
    async with page.run_test():
        page.words.show(nothing_runs())
        before = page.words.painted()
        page.words.words = ("one", "three")
        page.words.show(nothing_runs())
        after = page.words.painted()
    assert [strip.text.rstrip() for strip in after] == ["one", "three", ""]
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]


async def test_other_colours_paint_every_row_again() -> None:
    page = Page()
    async with page.run_test():
        page.words.show(nothing_runs())
        before = page.words.painted()
        page.words.repaint(LIGHT)
        after = page.words.painted()
    assert [strip.text for strip in after] == [strip.text for strip in before]
    grounds = {segment.style.bgcolor for strip in after for segment in strip if segment.style}
    assert grounds == {LIGHT.plain["text"].bgcolor}


async def test_a_row_has_the_width_of_its_widget_and_passes_the_net() -> None:
    page = Page()
    async with page.run_test():
        page.words.words = ("much longer than the widget", "a\x1b[2Jb")
        page.words.show(nothing_runs())
        long, hostile, empty = page.words.painted()
        part = page.words.render_lines(Region(2, 0, 4, 1))
    assert {long.cell_length, empty.cell_length} == {12}
    assert "\x1b" not in hostile.text
    assert [strip.text for strip in part] == ["ch l"]


async def test_another_filter_paints_every_row_again() -> None:
    page = Page()
    async with page.run_test():
        page.words.show(nothing_runs())
        before = page.words.painted()
        page._filters.append(Harmless())
        after = page.words.painted()
    assert not any(old is new for old, new in zip(before, after, strict=True))
