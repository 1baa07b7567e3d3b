"""Every key, on a live run and on a replay."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from textual import events
from textual.color import Color

from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import LevelEnded, LevelStarted, RequestFailed, RequestQueued, Tick
from llamatop.figures.gaps import slowest_gaps
from llamatop.recording.bookmarks import Bookmarks
from llamatop.recording.reader import open_recording
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.tui.app import LlamatopApp
from llamatop.tui.compare.keys import COMMANDS as COMPARE
from llamatop.tui.monitor.keys import bindings, commands
from llamatop.tui.monitor.panels import Transport
from llamatop.tui.monitor.request import RequestScreen
from llamatop.tui.monitor.steering import next_concurrency
from llamatop.tui.monitor.views.transport import track
from llamatop.tui.monitor.views.values import span
from llamatop.tui.start.keys import COMMANDS as START
from llamatop.tui.terminal.leaving import wind_down
from llamatop.tui.terminal.meter import OwnCost
from tests.tui.conftest import (
    FakeLive,
    live_app,
    loading_events,
    replay_app,
    screen_text,
    settle,
    started,
    until,
)

SIZE = (120, 36)


def orders(app: LlamatopApp) -> list[tuple[object, ...]]:
    assert isinstance(app.live, FakeLive)
    return [order for order in app.live.orders if order[0] != "start"]


async def test_the_run_starts_behind_the_first_paint(run_events):
    app = live_app([])
    assert app.live.orders == []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.live.orders == [("start",)]


async def test_what_arrives_is_shown_at_the_next_tick(run_events):
    app = live_app(loading_events())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert "loading weights" in "\n".join(screen_text(app))
        app.live.events = until(run_events, 4)
        app.tick()
        await pilot.pause()
        assert "● running" in screen_text(app)[1]
        assert "in flight" in screen_text(app)[1]


async def test_live_orders(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("plus")
        await pilot.press("plus", "plus", "minus", "plus")
        await settle(pilot, lambda: ("resize", 5) in orders(app))
        app.draw()
        await pilot.pause()
        assert "concurrency 2 → 5" in screen_text(app)[1]
        await pilot.press("space")
        selected = app.showing.monitor.table.selected
        await pilot.press("c")
    assert orders(app) == [("resize", 5), ("pause", True), ("cancel", selected.id)]


async def test_a_wish_lasts_until_it_runs_and_no_longer(run_events):
    app = live_app(until(run_events, 4))
    steps = [RequestQueued(5 * SECOND, 900, 1, 8, 8)]
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        steering = app.showing._steering
        await pilot.press("plus", "plus")
        assert steering.wanted == 4
        app.live.events = [LevelEnded(5 * SECOND, 0, "ok", ended_by="concurrency"),
                           LevelStarted(5 * SECOND, 1, 3, None), *steps]  # fmt: skip
        app.tick()
        assert steering.wanted == 4, "an older wish runs first"
        app.live.events = [LevelEnded(6 * SECOND, 1, "ok", ended_by="concurrency"),
                           LevelStarted(6 * SECOND, 2, 4, None)]  # fmt: skip
        app.tick()
        assert steering.wanted is None
        await pilot.press("plus")
        assert steering.wanted == 5
        app.live.events = [LevelEnded(7 * SECOND, 2, "ok"), LevelStarted(7 * SECOND, 3, 9, 8)]
        app.tick()
        assert steering.wanted is None, "that level was planned"


async def test_a_sweep_asks_before_it_cancels(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("s")
        assert not orders(app)
        (asked,) = app._notifications
        assert (
            asked.message == "sweep: s again cancels 2 requests in flight, then levels 1 2 4 8 16"
        )
        await pilot.press("s")
    assert orders(app) == [("sweep", 1, 2, 4, 8, 16)]


async def test_an_ended_request_is_not_cancelled(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("end", "c")
    assert orders(app) == []


def test_concurrency_goes_by_ones_and_then_by_more():
    up = [1]
    while up[-1] < 40:
        up.append(next_concurrency(up[-1], 1))
    assert up[:12] == list(range(1, 13))
    assert up[-1] - up[-2] > 1
    assert all(next_concurrency(b, -1) == a for a, b in pairwise(up))
    assert next_concurrency(1, -1) == 1


async def test_replay_is_played_paused_stepped_and_sought(run_events):
    app = replay_app(run_events, 4)
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("right")
        twentieth = replay.length / 20
        assert replay.length < 100 * SECOND
        assert replay.position == pytest.approx(4 * SECOND + twentieth)
        assert app.pump.session.now <= replay.position
        await pilot.press("left", "shift+left", "shift+right", "shift+left")
        assert replay.position == pytest.approx(4 * SECOND - twentieth / 5)
        await pilot.press("end")
        assert replay.position == replay.length
        await pilot.press("home")
        assert replay.position == replay.start
        await pilot.press("right", "right", "right", "right")
        await pilot.press("space")
        assert replay.playing
        await pilot.press("plus", "plus", "minus")
        assert replay.speed == 2
        await pilot.press("full_stop")
        assert not replay.playing
        stepped = replay.position
        assert stepped > 3 * twentieth
        await pilot.press("comma")
        assert replay.position < stepped
        await pilot.press(">")
        assert replay.position == replay.length and app.pump.session.ended is not None
        await pilot.press("<")
        assert replay.position == replay.start and app.pump.session.ended is None


async def test_replay_jumps_to_levels(run_events):
    levels = [event.time for event in run_events if isinstance(event, LevelStarted)]
    app = replay_app(run_events, 4)
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("n")
        assert replay.position == levels[1]
        await pilot.press("n")
        assert replay.position == replay.length
        await pilot.press("N", "N", "N")
        assert replay.position == replay.start


async def test_replay_jumps_to_failures_and_stays_at_the_last(run_events):
    failed = [event.time for event in run_events if isinstance(event, RequestFailed)]
    app = replay_app(run_events, 0)
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("f")
        assert replay.position == failed[0]
        assert any(r.state == "failed" for r in app.pump.session.requests.values())
        await pilot.press(*["f"] * (len(failed) + 1))
        assert replay.position == failed[-1]
        await pilot.press(*["F"] * len(failed))
        assert replay.position == failed[0]


async def test_one_press_passes_the_failures_of_a_whole_batch():
    ids = range(200)
    events = [
        started(),
        LevelStarted(SECOND, 0, 200, 200),
        *(RequestQueued(2 * SECOND, i, 0, 8, 8) for i in ids),
        *(RequestFailed(3 * SECOND + i, i, "out of memory") for i in ids),
        LevelStarted(4 * SECOND, 1, 100, 100),
        Tick(9 * SECOND),
    ]
    app = replay_app(events, 0)
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("f", "f")
        assert replay.position == 3 * SECOND
        await pilot.press("n")
        assert replay.position == 4 * SECOND
        await pilot.press("F")
        assert replay.position == 3 * SECOND, "paused, a mark just passed is the previous one"


async def test_where_nothing_failed_the_key_says_so():
    events = [started(), LevelStarted(SECOND, 0, 2, 2), Tick(9 * SECOND)]
    app = replay_app(events, 2)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("f")
        assert [told.message for told in app._notifications] == ["failure: nothing failed"]
        assert app.pump.source.position == 2 * SECOND


async def test_bookmarks_are_set_gone_to_kept_and_taken_away(run_events, tmp_path):
    path = tmp_path / "kept.json"
    app = replay_app(run_events, 4, bookmarks=Bookmarks(path))
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert "◆" not in screen_text(app)[-2]
        await pilot.press("right_square_bracket")
        assert replay.position == 4 * SECOND, "there is none to go to"
        await pilot.press("b", "right")
        later = replay.position
        await pilot.press("b", "right")
        await pilot.pause()
        assert screen_text(app)[-2].count("◆") == 2
        await pilot.press("left_square_bracket")
        assert replay.position == later
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert replay.position == 4 * SECOND
        await pilot.press("right_square_bracket")
        assert replay.position == later
        await pilot.press("b")
    assert Bookmarks(path).times == [4 * SECOND]
    again = replay_app(run_events, 9, bookmarks=Bookmarks(path))
    async with again.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert screen_text(again)[-2].count("◆") == 1


async def test_bookmarks_that_cannot_be_kept_are_told(run_events, tmp_path):
    (tmp_path / "file").write_text("")
    app = replay_app(run_events, 4, bookmarks=Bookmarks(tmp_path / "file" / "kept.json"))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("b")
        await pilot.pause()
        assert "will not outlive" in next(iter(app._notifications)).message
        assert app.showing.player.playback.bookmarks == (4 * SECOND,)


async def test_replay_jumps_to_the_slowest_gaps(run_events):
    slowest = slowest_gaps(run_events)
    app = replay_app(run_events, 4)
    replay = app.pump.source

    async def reaches(pilot, place):
        for _ in range(200):
            app.tick()
            await pilot.pause(0.01)
            if replay.position == slowest[place].start:
                return
        raise AssertionError(f"gap {place} is not reached")

    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("w")
        await reaches(pilot, 0)
        await pilot.pause()
        gap = slowest[0]
        said = f"gap 1: {span(gap.seconds)}, request {gap.request}"
        assert said in screen_text(app)[-2]
        await pilot.press("w", "w")
        await reaches(pilot, 2)
        await pilot.press("W")
        await reaches(pilot, 1)
        replay.seek(slowest[1].end + 3 * SECOND)
        app.tick()
        await pilot.pause()
        assert "gap 2" not in screen_text(app)[-2], "elsewhere it is not told"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_a_click_on_the_bar_seeks_beside_a_note_too(width, run_events):
    app = replay_app(run_events, 4)
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press("w")
        for _ in range(200):
            app.tick()
            await pilot.pause(0.01)
            if app.showing.player.playback.note.startswith("gap"):
                break
        await pilot.pause()
        start, cells = track(app.showing.player.playback, width)
        knob = screen_text(app)[-2].index("●")
        before = app.pump.source.position
        await pilot.click("#transport", offset=(knob, 0))
        step = app.pump.source.length / cells
        assert start <= knob < start + cells
        assert abs(app.pump.source.position - before) <= step


async def test_play_at_the_end_begins_anew(run_events):
    app = replay_app(run_events, 1000)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert app.pump.source.ended
        await pilot.press("space")
        assert app.pump.source.position == 0
        assert app.pump.source.playing


async def test_a_click_on_the_transport_bar_seeks(run_events):
    app = replay_app(run_events, 4)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.click("#transport", offset=(SIZE[0] // 2, 0))
        middle = app.pump.source.length / 2
        assert abs(app.pump.source.position - middle) < middle / 10


async def test_keys_of_the_other_kind_do_nothing(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("left", "right", "full_stop", "comma", "n", "N")
    assert orders(app) == []
    app = replay_app(run_events, 4)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("c")


@pytest.mark.parametrize(
    ("key", "panel"),
    [("1", "Throughput"), ("2", "Latency"), ("3", "Memory"), ("4", "Requests"), ("5", "Events")],
)
async def test_a_panel_is_maximised_and_restored(key, panel, run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press(key)
        await pilot.pause()
        rows = screen_text(app)
        assert panel in rows[2]
        assert rows[2].startswith("╭")
        assert rows[2].rstrip().endswith("╮")
        assert sum("╭" in row for row in rows) == 1
        await pilot.press(key)
        await pilot.pause()
        assert sum(row.count("╭") for row in screen_text(app)) == 5


async def test_a_double_click_maximises(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.double_click("#memory", offset=(5, 3))
        assert app.showing.looking.choices.maximised == "memory"


async def test_tab_gives_each_panel_the_keys_in_turn_and_back(run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()

        def focused() -> list[str]:
            return re.findall("▸[¹²³⁴⁵]([A-Z][a-z]+)", "\n".join(screen_text(app)))

        assert focused() == ["Requests"]
        names = []
        for _ in range(5):
            await pilot.press("tab")
            await pilot.pause()
            names += focused()
        assert names == ["Events", "Throughput", "Latency", "Memory", "Requests"]
        await pilot.press("shift+tab")
        await pilot.pause()
        assert focused() == ["Memory"]
        await pilot.press("enter")
        await pilot.pause()
        assert "³Memory" in screen_text(app)[2]
        await pilot.press("tab")
        await pilot.pause()
        assert "⁴Requests" in screen_text(app)[2], "of one alone, to the next one alone"
        await pilot.press("escape")
        await pilot.pause()
        assert focused() == ["Requests"]


async def test_keys_act_in_the_panel_that_has_them(run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        choices, table = app.showing.looking.choices, app.showing.monitor.table
        at = table.selected.id
        for panel, chosen, hint in (
            ("#throughput", "span", "zoom"),
            ("#latency", "figure", "figure"),
            ("#memory", "charted", "history"),
            ("#events", "told_until", "scroll"),
        ):
            assert getattr(choices, chosen) is None
            await pilot.click(panel, offset=(5, 0))
            await pilot.press("down", "down", *(["up"] if chosen == "told_until" else []))
            await pilot.pause()
            assert hint in screen_text(app)[-1]
            if chosen != "told_until":
                assert getattr(choices, chosen) is not None
        assert table.selected.id == at, "the table keeps its row"
        await pilot.click("#table", offset=(5, 1))
        await pilot.press("down")
        assert table._at == 2
        await pilot.press("escape", "escape", "escape")
        assert (choices.span, choices.figure, choices.charted) == (None, None, None)


async def test_keys_go_to_the_table_where_their_panel_has_no_room(run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("tab")
        assert app.showing.looking.choices.focus == "events"
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.showing.looking.choices.focus == "requests"
        await pilot.press("5", "5", "down")
        assert app.showing.looking.choices.focus == "requests"
        assert app.showing.monitor.table._at == 1


async def test_the_cursor_moves_and_stays_on_its_request(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.showing.monitor.table
        await pilot.press("down", "j")
        chosen = table.selected.id
        app.live.events = [e for e in run_events if 4 * SECOND < e.time <= 8 * SECOND]
        app.tick()
        await pilot.pause()
        assert table.selected.id == chosen
        await pilot.press("home")
        assert table.selected.active
        await pilot.press("end")
        assert table.selected.id == 0
        assert table.scroll_offset.y + table.size.height >= table.rows
        await pilot.press("pageup", "k", "up")
        assert table.selected.id > 0


async def test_a_click_selects_a_row(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.click("#table", offset=(10, 3))
        assert app.showing.monitor.table._at == 3


async def test_a_double_click_opens_a_row_and_maximises_nothing(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.double_click("#table", offset=(10, 1))
        await pilot.pause()
        assert isinstance(app.screen, RequestScreen)
        assert app.showing.looking.choices.maximised is None


async def test_the_wheel_scrolls_the_table(run_events):
    app = live_app(run_events)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        table = app.showing.monitor.table
        before = screen_text(app)[21]
        table.scroll_to(y=10, animate=False)
        await pilot.pause()
        assert table.scroll_offset.y == 10
        assert screen_text(app)[21] != before


async def test_the_filter_is_typed_kept_and_dropped(run_events):
    app = live_app(until(run_events, 8))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        before = app.showing.monitor.table.rows
        await pilot.press("slash", *"fail")
        await pilot.pause()
        assert app.showing.looking.choices.query == "fail"
        assert 0 < app.showing.monitor.table.rows < before
        await pilot.press("enter")
        await pilot.pause()
        assert app.showing.looking.choices.query == "fail"
        assert "/fail" in "\n".join(screen_text(app))
        await pilot.press("escape")
        assert app.showing.looking.choices.query == ""
        await pilot.press("slash", "q", "escape")
        await pilot.pause()
        assert app.showing.looking.choices.query == ""
        assert app.showing.monitor.table.rows == before
        assert app.focused is app.showing.monitor.table


async def test_what_is_typed_right_behind_a_key_is_for_what_the_key_opened(run_events):
    app = live_app(until(run_events, 5))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        for key in ("slash", "q", "u"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        for _ in range(20):
            await pilot.pause()
        assert app.return_code is None and ("stop",) not in orders(app)
        assert app.showing.looking.choices.query == "qu"


async def test_rows_are_sorted_and_turned_round(run_events):
    app = live_app(until(run_events, 8))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("o")
        await pilot.pause()
        ids = [request.id for request in app.showing.monitor.table._requests]
        assert ids == sorted(ids)
        await pilot.press("O")
        assert [request.id for request in app.showing.monitor.table._requests] == ids[::-1]


async def test_a_request_is_opened_goes_on_and_is_closed(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        opened = app.showing.monitor.table.selected
        before = opened.tokens
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RequestScreen)
        assert f"request {opened.id}" in screen_text(app)[0]
        assert f"{before}/60" in screen_text(app)[0]
        app.live.events = [e for e in run_events if 4 * SECOND < e.time <= 4.5 * SECOND]
        app.tick()
        await pilot.pause()
        assert opened.tokens > before
        assert f"{opened.tokens}/60" in screen_text(app)[0]
        await pilot.press("down")
        await pilot.pause()
        assert f"request {opened.id}" not in screen_text(app)[0]
        await pilot.press("escape")
        assert not isinstance(app.screen, RequestScreen)


async def test_help_lists_the_keys_and_closes(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        told = "\n".join(screen_text(app))
        assert "more or fewer requests at once" in told
        assert "seconds back" not in told
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("made", [live_app, partial(replay_app, seconds=4)])
async def test_help_has_every_key_on_24_rows_and_scrolls_on_fewer(run_events, made):
    app = made(run_events)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("question_mark")
        await pilot.pause()
        told = "\n".join(screen_text(app))
        shown = commands(made is not live_app, made is live_app, servers=False)
        pages = [command.page for command in shown]
        assert all(page is None or page[1] in told for page in pages)
        assert "servers tell" not in told, "there are none"
        await pilot.resize_terminal(80, 16)
        await pilot.pause()
        assert "what was recorded is kept" not in "\n".join(screen_text(app))
        app.screen.scroll_end(animate=False)
        await pilot.pause()
        assert "what was recorded is kept" in "\n".join(screen_text(app))


async def test_what_is_told_covers_no_transport_bar(run_events):
    app = replay_app(run_events, 5)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("b")
        await pilot.pause()
        [told], bar = app.screen.query("Toast"), app.screen.query_one("#transport")
        assert told.region.area
        assert not told.region.overlaps(bar.region)
        app.notify("a long path " * 30)
        await settle(pilot, lambda: "a long path" in screen_text(app)[23])
        assert "a long path" not in screen_text(app)[22]


async def test_histories_zoom(run_events):
    app = live_app(until(run_events, 8))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        near = screen_text(app)
        await pilot.press("z", "z")
        await pilot.pause()
        assert screen_text(app) != near
        await pilot.press("Z", "escape")
        await pilot.pause()
        assert screen_text(app) == near


async def test_the_first_styles_are_those_of_the_theme_that_was_asked_for(run_events):
    app = live_app(run_events, theme="llamatop-light")
    async with app.run_test(size=(100, 30)):
        ground = Color.parse(app.current_theme.background)
        assert app.theme == "llamatop-light"
        assert app.showing.monitor.background_colors[1] == ground


async def test_themes_go_round(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        seen = [app.theme]
        for _ in range(5):
            await pilot.press("t")
            seen.append(app.theme)
        assert seen[0] == seen[-1] == "llamatop-dark"
        assert len(set(seen)) == 5


async def test_everything_is_in_the_palette(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE):
        told = {command.title for command in app.get_system_commands(app.screen)}
        assert "More requests at once" in told
        assert "Play faster" not in told
        keys = {command.help for command in app.get_system_commands(app.screen)}
        assert {"key: ? or f1", "key: + or =", "key: ctrl+q or ctrl+c"} <= keys


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_the_palette_is_a_page_of_the_theme_s_colours_and_fits(run_events, size):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=size) as pilot:
        await pilot.press("ctrl+p")
        await pilot.pause()
        commands = app.screen.query_one("CommandList")
        while commands.region.height <= 3:  # it looks for what to show
            await pilot.pause()
        assert commands.region.width <= 72
        assert app.screen.region.contains_region(commands.region)
        assert commands.background_colors[1] == Color.parse(app.current_theme.background)
        assert not app.screen.query_one("SearchIcon").display


async def test_a_key_in_the_footer_can_be_clicked(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        place = screen_text(app)[-1].index("space hold")
        await pilot.click("#footer", offset=(place, 0))
    assert ("pause", True) in orders(app)


@pytest.mark.parametrize(
    "shown",
    [commands(True, False, False), commands(False, True, True), START, COMPARE],
    ids=["replay", "live", "start", "compare"],
)
def test_every_key_has_one_meaning(shown):
    keys = [key for command in shown for key in command.keys.split(",") if key]
    assert len(keys) == len(set(keys))
    assert set(keys) == {key for made in bindings(shown) for key in made.key.split(",")}


# Leaving


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
async def test_leaving_stops_the_run_and_ends_its_children(key, run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press(key)
        await pilot.pause(0.1)
    assert orders(app)[:2] == [("stop",), ("close",)]
    assert app.return_code == 0


async def test_ctrl_c_leaves_from_the_filter(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("slash", "q", "ctrl+c")
        await pilot.pause(0.1)
    assert ("stop",) in orders(app)


async def test_a_signal_gives_its_exit_code(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.leave(143)
        await pilot.pause(0.1)
    assert app.return_code == 143


async def test_a_tick_that_comes_after_the_screens_are_closed_does_nothing(run_events):
    app = live_app(until(run_events, 4))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
    assert not app.screen_stack
    app.tick()


async def test_leaving_moves_the_last_events_and_does_not_wait_for_ever(run_events):
    live = FakeLive()
    pump = Pump(live, Session())
    live.stop = lambda: live.events.extend(until(run_events, 1))
    await wind_down(pump, live, patience=0.05)
    assert pump.session.requests
    assert live.orders == [("close",)]


def test_nothing_heavy_is_imported_for_the_first_paint():
    code = (
        "import sys, llamatop.commands.watch, llamatop.run.live;"
        "import llamatop.tui.monitor.showing, llamatop.tui.start.screen;"
        "heavy = {'torch','transformers','polars','plotext','textual_plotext','numpy','psutil',"
        "'ctypes','http.client','importlib.metadata','llamatop.figures.levels',"
        "'llamatop.figures.serving','llamatop.predict.memory','llamatop.run.serving'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "[]"


# Its own cost


class Clocked:
    """Time that moves by hand."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("llamatop.tui.terminal.meter.time", self)

    def monotonic(self) -> float:
        return self.now

    perf_counter = process_time = monotonic


def test_the_meter_tells_the_most_that_waited(monkeypatch):
    clock = Clocked(monkeypatch)
    meter = OwnCost()
    for waiting in (0, 12, 3):
        clock.now += 0.5
        meter.frame(lambda: None)
        meter.lag(waiting, 0)
    assert meter.told() == ""
    clock.now += 1
    meter.frame(lambda: None)
    assert meter.told().endswith("cpu  12 behind")
    meter.lag(1_500, int(3.2 * SECOND))
    clock.now += 2
    meter.frame(lambda: None)
    assert meter.told().endswith(" 1,500 behind, 3.2 s late")


def test_a_source_that_queues_nothing_is_never_behind(monkeypatch):
    clock = Clocked(monkeypatch)
    meter = OwnCost()
    meter.lag(Pump(FakeLive(), Session()).behind, 0)
    clock.now += 3
    meter.frame(lambda: None)
    assert meter.told().endswith("% cpu")


class Backlog(FakeLive):
    """A live run in which events arrive while a frame is drawn."""

    @property
    def waiting(self) -> int:
        return len(self.events)


async def test_events_behind_stand_in_the_footer(run_events, monkeypatch):
    live = Backlog(until(run_events, 2))
    pump = Pump(live, Session())
    clock = Clocked(monkeypatch)
    meter = OwnCost()
    app = LlamatopApp(pump, live=live, meter=meter, refresh_hz=0.01)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        drawing = app.draw
        new = [event for event in run_events if 2 * SECOND < event.time <= 3 * SECOND]

        def slow_draw():
            drawing()
            live.events += new

        app.draw = slow_draw
        app.tick()
        clock.now += 3
        app.draw = drawing
        app.tick()
        app.tick()
        await pilot.pause()
        assert f" {len(new)} behind" in screen_text(app)[-1]


def test_a_step_tells_how_late_its_oldest_event_came():
    live = FakeLive([Tick(2 * SECOND), Tick(5 * SECOND)])
    pump = Pump(live, Session())
    pump.step()
    assert pump.late == 3 * SECOND
    pump.step()
    assert pump.late == 3 * SECOND, "a step without events says nothing new"


async def comes_to(pilot, position: int) -> None:
    """Wait until what is looked for in a thread was found and gone to."""
    for _ in range(1000):
        pilot.app.tick()
        if pilot.app.pump.source.position == position:
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came there")


async def test_an_open_request_of_a_replay_has_the_transport_bar(run_events):
    app = replay_app(run_events, 9)
    replay = app.pump.source
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RequestScreen)
        assert "0:09.000" in screen_text(app)[-2]
        start, cells = track(app.showing.player.playback, SIZE[0])
        await pilot.click(offset=(start + cells - 1, SIZE[1] - 2))
        assert replay.position == replay.length
        await pilot.press("<")
        assert "0:00.000" in screen_text(app)[-2]


async def test_an_open_request_of_a_live_run_has_none(run_events):
    app = live_app(until(run_events, 9))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RequestScreen)
        assert not app.screen.query(Transport)


async def test_a_gap_and_a_failure_bring_their_request_under_the_cursor(run_events):
    app = replay_app(run_events, 0)
    size = (80, 24)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("f", "f")
        selected = app.showing.monitor.table.selected
        assert selected is not None and selected.state == "failed"
        assert selected.ended == app.pump.source.position
        await pilot.press("W")
        slow = slowest_gaps(run_events)[0]
        await comes_to(pilot, slow.start)
        assert app.showing.monitor.table.selected.id == slow.request
        await pilot.pause()
        assert f" {slow.request}  ●" in "\n".join(screen_text(app)), "it is in view"


async def test_with_a_request_open_a_gap_opens_that_which_has_it(run_events):
    app = replay_app(run_events, 9)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await pilot.press("enter", "w")
        slow = slowest_gaps(run_events)[0]
        await comes_to(pilot, slow.start)
        await pilot.pause()
        assert f"request {slow.request} " in screen_text(app)[0]


async def test_the_end_of_a_recording_that_was_cut_off_says_so(run_events):
    for last, told in ((-1, False), (-2, True)):
        events = [event for event in run_events if not isinstance(event, Tick)]
        events = events[: len(events) + last + 1]
        app = replay_app(events, 0)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press(">")
            assert ("ends in mid-run" in screen_text(app)[-2]) == told


async def test_what_is_told_covers_nothing_that_is_read(run_events):
    """At 80 columns and 24 rows, whatever its length, and the newest where there were more."""
    app = live_app(until(run_events, 4))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        before = screen_text(app)
        app.notify("the first of two")
        await settle(pilot, lambda: "the first of two" in "".join(screen_text(app)))
        app.notify("a long path " * 30, title="recording stopped", markup=False)
        await settle(pilot, lambda: "recording stopped: a long" in screen_text(app)[22])
        assert screen_text(app)[:22] == before[:22]
        assert "the first of two" not in "".join(screen_text(app))


def test_a_theme_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(
        InputError, match="--theme nonsense: there are llamatop-dark, llamatop-light"
    ):
        live_app([], theme="nonsense")


async def test_a_replay_says_first_where_the_memory_that_was_sought_ended() -> None:
    sample = Path(__file__).parents[2] / "recordings/samples/opt-1.3b-until-oom-h100.parquet"
    app = replay_app(open_recording(sample).events, 0)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app._player.playback.answer)
        app.draw()
        await pilot.pause()
        assert "▽ 171 at once work, 172 do not  f goes there" in screen_text(app)[0]
        assert app._player.playback.failed == ""


async def test_a_replay_says_first_what_failed_and_which_key_goes_there(run_events):
    app = replay_app(run_events, 0)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, lambda: app._player.playback.failed)
        app.draw()
        await pilot.pause()
        assert re.search(r"✗ \d+ requests failed: .* f goes there +replay", screen_text(app)[0])
        await pilot.press("f")
        app.draw()
        await pilot.pause()
        assert "goes there" not in screen_text(app)[0]
