"""Sixteen colours: meanings keep their hue, and what is under the cursor can be read."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from llamatop.tui.drawing.palette import SHADES, Palette, colours
from llamatop.tui.drawing.sixteen import Sixteen, sixteen
from llamatop.tui.drawing.themes import SHIPPED, folders, load_themes
from tests.tui.conftest import live_app, until
from tests.tui.drawing.test_themes import TEXTS, contrast

GREY = {(0, 0, 0), (85, 85, 85), (170, 170, 170), (255, 255, 255)}
THEMES = load_themes(folders()[:1])[0]


def shown(style: Style, ground: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ink and paper of a style on a ground, as they reach the terminal."""
    (segment,) = Sixteen().apply([Segment("x", style)], Color.parse(ground))
    assert segment.style is not None
    ink, paper = segment.style.color, segment.style.bgcolor
    assert ink is not None
    assert paper is not None
    return tuple(ink.get_truecolor()), tuple(paper.get_truecolor())


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "mono"])
def test_work_and_memory_keep_colours_of_their_own_down_to_the_floor_of_a_chart(name):
    theme = THEMES[name]
    styles = Palette(theme).plain
    roles = {role: shown(styles[role], str(theme.background))[0] for role in ("work", "memory")}
    assert not GREY & set(roles.values())
    assert roles["work"] != roles["memory"]
    for role, ink in roles.items():
        for shade in range(SHADES):
            drawn, paper = shown(styles[f"{role}.{shade}.full"], str(theme.background))
            assert drawn == paper
            assert sixteen(ink) == ink
            assert [part > 85 for part in drawn] == [part > 85 for part in ink] or drawn in GREY
        assert shown(styles[f"{role}.{SHADES - 1}.full"], str(theme.background))[0] not in GREY
    if theme.dark:
        floor = shown(styles["memory.0.full"], str(theme.background))[0]
        assert floor not in GREY


@pytest.mark.parametrize("name", [name for name in SHIPPED if THEMES[name].dark])
def test_every_text_of_a_dark_theme_can_be_read_in_sixteen_colours(name):
    named = colours(THEMES[name])
    ground = Color(*sixteen(named["background"].rgb))
    for role in TEXTS:
        reached = contrast(Color(*sixteen(named[role].rgb)), ground)
        assert reached >= 4, (role, reached)  # the brightest blue there is: 4.1


@pytest.mark.parametrize("name", SHIPPED)
def test_the_row_under_the_cursor_is_reversed(name):
    styles, ground = Palette(THEMES[name]).cursor, str(THEMES[name].background)
    for role in TEXTS:
        assert shown(styles[role], ground) == ((0, 0, 0), (170, 170, 170))


async def test_the_screen_under_a_page_is_not_reversed(run_events, monkeypatch):
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", "xterm")
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        rows = app.screen._compositor.render_full_update().strips
        first = [s.style.bgcolor for strip in rows[0] for s in strip if s.style]
    assert {tuple(color.get_truecolor()) for color in first if color} == {(0, 0, 0)}


async def test_only_the_sixteen_reach_a_terminal_that_knows_no_more(run_events, monkeypatch):
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", "xterm")
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        update = app.screen._compositor.render_full_update()
        styles = {s.style for row in update.strips for strip in row for s in strip if s.style}
    used = {color for style in styles for color in (style.color, style.bgcolor) if color}
    assert len(used) > 6
    for color in used:
        assert color.downgrade(ColorSystem.STANDARD).get_truecolor() is not None
        assert sixteen(tuple(color.get_truecolor())) == tuple(color.get_truecolor())
