"""The picture of a screen: nothing to fetch, each character in its cell."""

from __future__ import annotations

import re
from html import unescape

from llamatop.tui.drawing.picture import CELL, portable
from tests.tui.conftest import live_app, screen_text, until

SIZE = (80, 24)


async def test_a_picture_loads_nothing_and_has_each_character_in_its_cell(run_events) -> None:
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        rows, svg = screen_text(app), portable(app.export_screenshot(title="llamatop"))
    assert "http" not in svg.replace("http://www.w3.org/", "").replace(
        "https://www.textualize.io", ""
    )
    assert "font-face" not in svg and "textLength" not in svg
    texts = re.findall(r'x="([^"]*)" y="([\d.]+)" clip-path[^>]*>([^<]*)<', svg)
    assert len(texts) > SIZE[1], "a text a row at least"
    for places, y, text in texts:
        characters = unescape(text).replace("\N{NO-BREAK SPACE}", " ").rstrip("\n")
        row = rows[round((float(y) - 20) / 24.4)]
        columns = [round(float(x) / CELL) for x in places.split()][: len(characters)]
        assert [row[column] for column in columns] == list(characters)


def test_wide_characters_take_two_cells_and_signs_stay_escaped() -> None:
    text = '<text x="0" y="20" textLength="61" clip-path="url(#a)">\u6f22&lt;a&#160;</text>'
    assert portable(text) == (
        '<text x="0.0 24.4 36.6 48.8" y="20" clip-path="url(#a)">\u6f22&lt;a&#160;</text>'
    )
