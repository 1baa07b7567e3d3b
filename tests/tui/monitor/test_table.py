"""The request table while rows keep coming."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from tests.tui.conftest import live_app, screen_text, until

SIZE = (120, 36)


async def test_rows_beyond_those_in_view_lay_nothing_out_anew(run_events):
    app = live_app(until(run_events, 12))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.showing.monitor.table
        before, layouts = table.rows, []
        assert before > table.size.height
        app.screen.screen_layout_refresh_signal.subscribe(table, layouts.append)
        app.live.events = [event for event in run_events if event.time > 12 * SECOND]
        app.tick()
        await pilot.pause()
        assert table.rows > before
        assert not layouts


async def test_the_scroll_bar_knows_all_rows_when_no_more_come(run_events):
    app = live_app(until(run_events, 12))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.showing.monitor.table
        later = [event for event in run_events if event.time > 12 * SECOND]
        while later:  # one by one, none of which could be seen in the bar
            app.live.events, later = later[:1], later[1:]
            app.tick()
        app.tick()
        assert table.vertical_scrollbar.window_virtual_size == table.rows
        await pilot.press("end")
        assert table.scroll_offset.y == table.rows - table.size.height


async def test_rows_above_the_cursor_do_not_move_it_out_of_view(run_events):
    app = live_app(until(run_events, 12))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.showing.monitor.table
        await pilot.press("end", "up")
        assert f"g {table.scroll_offset.y} above" in "\n".join(screen_text(app))
        chosen, row = table.selected, table._at - table.scroll_offset.y
        before = table.rows
        app.live.events = [event for event in run_events if event.time > 12 * SECOND]
        app.tick()
        await pilot.pause()
        assert table.rows > before
        assert (table.selected, table._at - table.scroll_offset.y) == (chosen, row)
        table.scroll_to(y=0, animate=False)  # a person looks elsewhere
        await pilot.press("o")
        await pilot.pause()
        assert table.selected is chosen and table.scroll_offset.y == 0
