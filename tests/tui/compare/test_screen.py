"""The compare screen as a person uses it: every key, every size, whatever the names are."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from llamatop.events.clock import SECOND
from llamatop.events.kinds import RequestFinished, TokensEmitted
from llamatop.recording.tables import Row, Table
from llamatop.reports.compare import compare
from llamatop.reports.runs import run_of
from llamatop.reports.tables import run_of_table
from llamatop.run.replay import fold
from llamatop.text.formatting import MINUS
from llamatop.tui.compare.judging import Judged, brief, judge, named
from llamatop.tui.monitor.help import HelpScreen
from llamatop.tui.monitor.views.values import TIMES
from tests.reports.samples import events, run
from tests.tui.test_hostile import HOSTILE
from tests.tui.test_hostile import run_of as hostile_events

from .case import CompareApp, judged, pair, several

ROOMY = (120, 40)


async def test_it_paints_before_the_comparison_is_worked_out():
    go = threading.Event()

    def slowly(baseline, other):
        go.wait(60)
        return judge(baseline, other)

    app = CompareApp(pair(), slowly)
    async with app.run_test(size=ROOMY) as pilot:
        await pilot.pause()
        assert "computing…" in app.text and "before" in app.text and "tok/s" in app.text
        go.set()
        await judged(pilot)
        assert "computing" not in app.text


async def test_a_slower_run_is_said_to_be_slower_with_its_interval():
    app = CompareApp(pair(1.25))
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        rows = app.rows()
        assert rows[1].startswith(f" B slower output tok/s {MINUS}20")
        row = next(row for row in rows if "│ output tok/s" in row)
        assert " … " in row and "slower" in row and "●" in row


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("--runs 35 on both sides would show ±16%", "--runs 35: ±16%"),
        ("about 1,234 more requests a level would show ±5%", "1,234 more: ±5%"),
        ("more than 999 runs of both sides would show ±5%", "over 999 runs: ±5%"),
        ("too few requests for this percentile", "too few requests"),
    ],
)
def test_what_would_decide_has_room_in_its_column(told, shown):
    assert brief(told) == shown


async def test_where_no_interval_is_known_there_is_no_axis_for_one():
    def unsure(baseline, other):
        rows = [replace(row, low=None, high=None) for row in judge(baseline, other).overall]
        return Judged((), tuple(rows), {})

    for how, drawn in ((judge, True), (unsure, False)):
        app = CompareApp(pair(1.25), how)
        async with app.run_test(size=(200, 60)) as pilot:
            await judged(pilot)
            head = next(row for row in app.rows() if "verdict" in row and "figure" in row)
            assert ("%" in head) is drawn


async def test_figures_and_verdicts_are_those_of_the_command():
    runs = pair()
    found = compare(*runs)
    shown = judge(*runs)
    assert [row.figure for row in shown.overall] == [named(one.metric) for one in found.overall]
    assert [row.verdict for row in shown.overall] == [one.verdict for one in found.overall]
    assert set(shown.levels) == {2, 8}


async def test_a_run_beside_itself_shows_no_difference():
    same = run((2, 8), requests=64)
    app = CompareApp([same, same])
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        assert (
            app.rows()[1].strip().startswith("B ? undecided 0.0 % tok/s") or "B = same" in app.text
        )
        assert "nothing that is known differs" in app.text
        assert "slower" not in app.text and "faster" not in app.text


async def test_what_is_not_known_of_both_is_not_called_the_same():
    silent = [e for e in events((2,)) if not isinstance(e, (TokensEmitted, RequestFinished))]
    others = [run_of(fold(silent), "silent"), run((2,))]
    for runs in ([run((2,)), others[0]], [run((2,)), *others]):
        app = CompareApp(runs)
        async with app.run_test(size=ROOMY) as pilot:
            await judged(pilot)
            row = next(row for row in app.rows() if "│ output tok/s" in row)
            assert "N/A" in row and "same" not in row
            if len(runs) > 2:
                assert "B output tok/s not compared" in app.rows()[1]
            else:
                assert "not compared" in row


async def test_without_a_level_in_common_the_table_says_so_at_any_height():
    app = CompareApp([run((2,)), run((4,))])
    async with app.run_test(size=(100, 20)) as pilot:
        await judged(pilot)
        assert "nothing to compare: no level in common" in app.text


async def test_what_differs_comes_first_then_what_is_unfair():
    app = CompareApp(pair(model="another/model"))
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        rows = app.rows()
        model = next(i for i, row in enumerate(rows) if " model " in row and "another/model" in row)
        unfair = next(i for i, row in enumerate(rows) if "careful: another model" in row)
        histories = next(i for i, row in enumerate(rows) if "Histories" in row)
        assert model < unfair < histories


async def test_all_runs_are_played_together():
    app = CompareApp(pair(2.0))
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        deck = app.comparing.deck
        assert deck.ended and "▶" not in app.text
        await pilot.press("space")
        app.clock.time += 2 * SECOND
        app.tick()
        await pilot.pause()
        assert deck.position == 2 * SECOND and "▶" in app.text
        assert app.text.count("in flight") == 2
        await pilot.press("space", "plus", "right", "shift+right")
        assert not deck.playing and deck.speed == 2 and deck.position > 2 * SECOND
        await pilot.press("minus", "left", "shift+left")
        assert deck.speed == 1 and deck.position == pytest.approx(2 * SECOND, abs=2)
        await pilot.press("end")
        assert deck.ended
        await pilot.press("home", "n")
        assert 0 < deck.position < deck.length
        await pilot.press("N")
        assert deck.position == 0


async def test_a_run_that_is_over_waits_for_the_longer_one():
    app = CompareApp(pair(2.0))
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        short, long = (stretch.length for stretch in app.comparing.stretches())
        assert short < long == app.comparing.deck.length
        app.comparing.deck.seek((short + long) // 2)
        await pilot.press("shift+right")
        assert app.text.count("in flight") == 1 and app.text.count(" tok in 0:") == 1


async def test_levels_are_looked_at_one_by_one():
    app = CompareApp(pair())
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        seen, lengths = [app.comparing.level], [app.comparing.deck.length]
        for _ in range(3):
            await pilot.press("l")
            seen.append(app.comparing.level)
            lengths.append(app.comparing.deck.length)
            assert app.comparing.rows(0)
        assert seen == [None, 2, 8, None]
        assert lengths[1] < lengths[0] and lengths[2] < lengths[0]
        await pilot.press("L")
        assert app.comparing.level == 8 and f"{TIMES}8 level 2 of 2" in app.rows()[0]


async def test_of_several_runs_each_can_be_seen_in_full():
    app = CompareApp(several(4))
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        assert "▼ slower" in app.text and "B ▼" in app.rows()[1] and "D" in app.rows()[1]
        await pilot.press("tab")
        assert "B against A" in app.text and "between" in app.text
        await pilot.press("tab", "tab")
        assert "D against A" in app.text
        await pilot.press("tab")
        assert "between" not in app.text
        await pilot.press("shift+tab")
        assert "D against A" in app.text
        await pilot.press("escape")
        assert app.comparing.focus is None and not app.dismissed
        await pilot.press("l")
        assert f"did not run {TIMES}2" in app.text


async def test_a_panel_can_have_the_screen_and_be_scrolled():
    app = CompareApp(pair(model="another/model"))
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(pilot)
        for key, there, gone in (
            ("1", "Set-up", "Differences"),
            ("2", "Histories", "Set-up"),
            ("3", "Differences", "Histories"),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert there in app.text and gone not in app.text
        await pilot.press("3")
        await pilot.pause()
        assert "Set-up" in app.text and "more rows" in app.text
        assert "E2E p99" not in app.text
        await pilot.press(*["down"] * 40)
        assert "E2E p99" in app.text, "the end of the table, and no further"
        await pilot.press("up")
        assert app.comparing.scrolled > 0
        await pilot.press(*["pageup"] * 3)
        assert app.comparing.scrolled == 0 and "output tok/s" in app.text


@pytest.mark.parametrize(("key", "leave"), [("escape", False), ("m", False), ("q", True)])
async def test_back_to_the_list_or_out(key, leave):
    app = CompareApp(pair())
    async with app.run_test(size=ROOMY) as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert app.dismissed == [leave]


async def test_escape_first_gives_all_panels_back():
    app = CompareApp(pair())
    async with app.run_test(size=ROOMY) as pilot:
        await pilot.press("2", "escape")
        assert app.comparing.maximised is None and not app.dismissed


async def test_help_lists_the_keys():
    app = CompareApp(pair())
    async with app.run_test(size=ROOMY) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "play all together" in app.text
        await pilot.press("escape")
        assert app.screen is app.shown


async def test_the_mouse_seeks_presses_keys_and_maximises():
    app = CompareApp(pair())
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        await pilot.click("#transport", offset=(60, 0))
        assert 0 < app.comparing.deck.position < app.comparing.deck.length
        footer = app.rows()[-1]
        await pilot.click("#footer", offset=(footer.index("level"), 0))
        assert app.comparing.level == 2
        await pilot.click("#histories", offset=(10, 2), times=2)
        assert app.comparing.maximised == "histories"


async def test_what_cannot_be_compared_is_told():
    def broken(baseline, other) -> Judged:
        raise ValueError("[/x] no \x1b[2J such thing")

    app = CompareApp(pair(), broken)
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        assert "not compared: ValueError: [/x] no ␛[2J such thing" in app.text


async def test_no_level_in_common():
    app = CompareApp([run((2,), requests=8), run((4,), requests=8)])
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(pilot)
        assert "no level in common" in app.text and "nothing to compare" in app.text


async def test_a_table_of_another_tool_stands_beside_a_run_without_times():
    row = Row(name="c2", concurrency=2, figures={"output_tok_s": 12.5, "ttft_s.mean": 0.25})
    table = run_of_table(Table(tool="genai-bench", file="x.json", rows=[row]), "x")
    for runs in ([pair()[0], table], [table, table]):
        app = CompareApp(runs)
        async with app.run_test(size=ROOMY) as pilot:
            await judged(pilot)
            await pilot.press("space", "l")
            assert "a table: it tells no times" in app.text and "12.5" in app.text
            assert "did not run" not in app.text and "0 done" not in app.rows()[-5]


async def test_a_run_without_anything():
    app = CompareApp([run_of(fold([]), "nothing"), run_of(fold(events((1,))[:3]), "cut off")])
    async with app.run_test(size=(80, 24)) as pilot:
        await judged(pilot)
        await pilot.press("space", "l", "n", "tab", "1", "2", "3")
        assert "nothing" in app.text


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_names_are_data(text):
    hostile = run_of(fold(hostile_events(text)), text)
    app = CompareApp([*pair(), hostile])
    async with app.run_test(size=ROOMY) as pilot:
        await judged(pilot)
        assert not app.dismissed and app.is_running
        assert all(char.isprintable() for row in app.rows() for char in row)
        await pilot.press("tab", "tab", "1")
        assert all(char.isprintable() for row in app.rows() for char in row)


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 12), (80, 24), (200, 60), (400, 100)])
@pytest.mark.parametrize("count", [2, 6])
async def test_any_size_survives(size, count):
    app = CompareApp(several(count))
    async with app.run_test(size=size) as pilot:
        await judged(pilot)
        await pilot.press("space", "1", "2", "3", "3", "l", "tab")
        app.clock.time += SECOND
        app.tick()
        await pilot.resize_terminal(81, 25)
        for _ in range(200):
            await pilot.pause(0.01)
            if "Differences" in app.text:
                return
        raise AssertionError("it was never drawn at its new size")
