"""The screen at every size, and while it is resized."""

from __future__ import annotations

import pytest

from llamatop.tui.drawing.lines import width_of
from tests.tui.conftest import live_app, loading_events, replay_app, screen_text, until

SIZES = ((0, 0), (1, 1), (2, 30), (40, 3), (40, 12), (72, 15), (80, 24), (120, 36), (500, 200))


@pytest.mark.parametrize("size", SIZES)
async def test_the_screen_survives_any_size(size, run_events):
    app = replay_app(run_events, 9)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.resize_terminal(*size)
        await pilot.pause()
        app.tick()
        await pilot.press("3", "3", "enter", "escape", "question_mark", "escape", "slash", "escape")
        await pilot.press("tab", "shift+tab", "tab", "j", "z", "g", "escape")
        await pilot.pause()
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert "llamatop" in screen_text(app)[0]


@pytest.mark.parametrize("width", [1, 7, 39, 40, 71, 72, 79, 97, 141, 500])
async def test_frames_are_whole_at_every_size(width, run_events):
    """Every row is as wide as the screen, and every frame that opens in it closes."""
    app = replay_app(run_events, 9)
    async with app.run_test(size=(100, 30)) as pilot:
        for height in (1, 2, 4, 5, 11, 12, 13, 17, 18, 24, 31, 60, 200):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            rows = screen_text(app)
            assert len(rows) == height
            assert {width_of(row) for row in rows} == {width}
            for opens, closes in ("╭╮", "╰╯"):
                assert all(row.count(opens) == row.count(closes) for row in rows), (width, height)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
async def test_progress_reads_generated_of_asked(width, run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(width, 36)) as pilot:
        await pilot.pause()
        request = app.showing.monitor.table.selected
        assert f"{request.tokens}/60" in "\n".join(screen_text(app))


async def test_frames_close_at_the_same_column_at_80_by_24(run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        rows = screen_text(app)
        assert all(len(row) == 80 for row in rows)
        body = rows[2:23]
        assert all(row[0] in "╭│╰" and row[-1] in "╮│╯" for row in body)


async def test_a_loading_screen_is_designed_at_80_by_24():
    app = live_app(loading_events())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        told = "\n".join(screen_text(app))
        assert "4.00 GB of 16.0 GB" in told
        assert "requests begin when the model is loaded" in told
