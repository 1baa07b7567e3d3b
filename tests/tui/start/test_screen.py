"""The start screen as a person uses it: keys, mouse, sizes, hostile names, pictures."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec import structs
from textual import events
from textual.events import Paste

from llamatop.reports.models import Choice
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.start.rows import Kept
from llamatop.tui.start.screen import StartScreen
from tests.tui.conftest import CONFIG, live_app, loading_events
from tests.tui.start.case import CHOICES, DEFAULTS, KEPT, LLAMA, MACHINE, StartApp, looks, shown


async def ready(pilot) -> None:
    """Until all that is looked for has been found and drawn."""
    start = pilot.app.screen_shown.start
    deadline = time.monotonic() + 60
    while start.looking:
        assert time.monotonic() < deadline, "it looks for ever"
        await pilot.pause(0.01)
    await pilot.pause()


async def after(*keys: str, app: StartApp | None = None, size=(120, 36)) -> StartApp:
    """The app once these keys were pressed; it may have ended by then."""
    app = app or StartApp()
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press(*keys)
        await pilot.pause()
        app.rows = shown(app) if app.is_running and app.screen_stack else []
    return app


def start_of(app: StartApp):
    return app.screen_shown.start


# Enter


async def test_enter_runs_what_is_under_the_cursor():
    assert (await after("enter")).chosen == [DEFAULTS]


async def test_a_built_in_architecture_runs_with_random_weights():
    app = await after(*"8b", "enter")
    assert app.chosen == [structs.replace(DEFAULTS, model=LLAMA, weights="random")]


async def test_enter_on_a_recording_opens_it():
    app = await after("end", "up", "enter")
    assert app.chosen == [KEPT[0].path]


async def test_a_name_that_no_row_has_is_run_as_it_is():
    app = await after(*"me/mine", "enter")
    assert app.chosen == [structs.replace(DEFAULTS, model="me/mine")]


async def test_settings_go_into_the_run():
    keys = ["tab", *"1 2", "down", "ctrl+u", *"64", "tab", "end", "backspace", "tab", *"9"]
    app = await after(*keys, "tab", "b", "tab", "right", "down", "left", "enter")
    assert app.chosen == [
        structs.replace(
            DEFAULTS, concurrency=(1, 2), prompt_toks=64, gen_toks=20, requests=9, endless=False,
            engine="batch", weights="random", dtype="float16",
        )
    ]  # fmt: skip


async def test_what_is_typed_into_a_field_takes_the_place_of_what_was_there():
    app = await after("tab", "9", "tab", *"64", "down", "end", "backspace", "5", "enter")
    assert app.chosen == [structs.replace(DEFAULTS, concurrency=(9,), prompt_toks=64, gen_toks=205)]


async def test_keys_that_come_all_at_once_act_in_their_order():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for key in ("tab", "9", "down", "6", "4", "enter"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        for _ in range(100):
            await pilot.pause()
    assert app.chosen == [structs.replace(DEFAULTS, concurrency=(9,), prompt_toks=64)]


async def test_a_prompt_beyond_the_context_is_told_where_it_stands_and_not_as_memory():
    app = await after("tab", "tab", *"5000", "enter")
    assert app.chosen == [] and start_of(app).form.field.name == "prompt"
    [row] = [row for row in app.rows if "5000" in row]
    assert "prompt" in row and "context is 2,048" in row
    text = "\n".join(app.rows)
    assert re.search(r"asked for +5,200 +of 2,048 tokens", text)
    assert "✗ too short" in text and "✗ context" in next(r for r in app.rows if " demo " in r)


async def test_a_bad_value_is_told_and_does_not_run():
    app = await after("tab", "backspace", "0", "escape", "enter")
    assert app.chosen == []
    assert start_of(app).in_form
    assert any("must be between 1 and 4096" in row for row in app.rows)
    assert "concurrency: must be between 1 and 4096" in app.rows[0]


# Moving


async def test_a_name_that_matches_nothing_is_told_and_a_folder_is_looked_up() -> None:
    app = await after(*"zzz")
    assert "nothing here has that name" in "\n".join(app.rows)
    app = await after(*"./no/such/folder", "enter")
    assert app.chosen == []
    assert "model: there is no such folder" in "\n".join(app.rows)
    assert "nothing here has that name" not in "\n".join(app.rows)


async def test_a_broken_checkpoint_is_marked_and_told_before_anything_runs() -> None:
    cut = Choice("models/cut", "folder", None, None, 2048, incomplete="x.safetensors is cut short")
    none = Choice("models/none", "folder", None, None, None, unreadable="has no config.json")
    app = StartApp(looks([cut, none], []))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press(*"models/cut", "enter")
        assert app.chosen == [] and app.screen_shown.start.in_form
        text = "\n".join(shown(app))
        assert "✗ broken" in text and "x.safetensors is cut short" in text
        assert "random needs none" in text
        await pilot.press("escape", "ctrl+u", *"models/none", "enter")
        assert app.chosen == [] and not app.screen_shown.start.in_form
        assert "model: has no config.json" in "\n".join(shown(app))
        await pilot.press("ctrl+u", *"models/cut", "enter", "right", "enter")
    assert [config.weights for config in app.chosen] == ["random"]


async def test_keys_move_the_cursor():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for key, model in (
            ("down", CHOICES[1].model),
            ("down", CHOICES[2].model),
            ("up", CHOICES[1].model),
            ("ctrl+down", CHOICES[2].model),
            ("ctrl+up", CHOICES[1].model),
            ("end", "[/x]"),
            ("pageup", "demo"),
            ("up", "demo"),
            ("pagedown", "[/x]"),
            ("home", "demo"),
        ):
            await pilot.press(key)
            assert start_of(app).selected.model == model, key


async def test_tab_goes_through_the_settings_and_back():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for key, field in (
            ("shift+tab", "device"),
            ("tab", None),
            ("tab", "concurrency"),
            ("tab", "prompt"),
            ("shift+tab", "concurrency"),
            ("shift+tab", None),
        ):
            await pilot.press(key)
            start = start_of(app)
            assert (start.form.field.name if start.in_form else None) == field


async def test_a_recording_has_no_settings():
    app = await after("end", "tab")
    assert not start_of(app).in_form
    assert any("╭─ Recording" in row for row in app.rows)
    assert not any("╭─ Memory" in row for row in app.rows)


# Searching and leaving


async def test_letters_search_at_once_whatever_they_mean_elsewhere():
    app = await after(*"q-t 1?z")
    assert start_of(app).listing.search.text == "q-t 1?z"
    assert app.chosen == []


async def test_escape_leaves_the_form_then_the_search_then_twice_the_screen():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press(*"qw", "tab", "escape")
        assert (start_of(app).in_form, start_of(app).listing.search.text) == (False, "qw")
        await pilot.press("escape")
        assert start_of(app).listing.search.text == ""
        await pilot.press("escape")
        assert app.chosen == [] and "esc again leaves" in shown(app)[0]
        await pilot.press("escape")
        await pilot.pause()
    assert app.chosen == [None]


async def test_ctrl_c_leaves_from_anywhere():
    assert (await after("tab", "ctrl+c")).chosen == [None]


@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_is_a_page_of_keys(key):
    app = await after(key)
    assert any("╭─ Keys" in row for row in app.rows)
    assert any("search; or type a Hugging Face id" in row for row in app.rows)


async def test_a_paste_is_typed_as_one_line():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        app.screen.post_message(Paste("me/mine\n\x1b[2J"))
        await pilot.pause()
        assert start_of(app).listing.search.text == "me/mine ␛[2J"


# Pointing


def at(rows: list[str], text: str) -> tuple[int, int]:
    """Where a text stands on the screen."""
    y = next(y for y, row in enumerate(rows) if text in row)
    return rows[y].index(text), y


async def test_a_click_chooses_and_a_double_click_runs():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        place = at(shown(app), "Qwen/Qwen3")
        await pilot.click(offset=place)
        assert start_of(app).selected == CHOICES[3]
        await pilot.click(offset=place, times=2)
        await pilot.pause()
    assert app.chosen == [structs.replace(DEFAULTS, model="Qwen/Qwen3-0.6B", weights="random")]


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_click_goes_to_a_field_and_another_turns_it(size):
    app = StartApp()
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.click(offset=at(shown(app), "dtype"))
        assert start_of(app).form.field.name == "dtype"
        await pilot.click(offset=at(shown(app), "dtype"))
        assert start_of(app).form.picked["dtype"] == "float32"
        await pilot.click(offset=at(shown(app), "Qwen/Qwen2.5"))
        assert not start_of(app).in_form


async def test_the_footer_can_be_clicked():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.click(offset=(2, 35))
        await pilot.pause()
    assert app.chosen == [DEFAULTS]


# What is found


async def test_what_cannot_be_looked_for_is_told_and_the_rest_is_there():
    found = looks()
    found["models"] = lambda: (_ for _ in ()).throw(ValueError("bad [/x]\x1b cache"))
    app = await after(app=StartApp(found))
    assert "models: ValueError: bad [/x]␛ cache" in app.rows[0]
    assert start_of(app).listing.kept == KEPT


async def test_the_screen_is_there_while_it_still_looks():
    gate = threading.Event()
    found = looks()
    found["machine"] = lambda: gate.wait() and MACHINE
    app = StartApp(found)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause(0.05)
        assert any("looking…" in row for row in shown(app))
        await pilot.press("enter", "down", "tab", "escape")
        assert app.chosen == []
        gate.set()


async def test_hostile_names_are_shown_and_change_nothing():
    app = await after("down")
    assert any("/models/[/x] ␛[2Jfolder" in row for row in app.rows)
    assert not any("\x1b" in row for row in app.rows)


async def test_five_hundred_models_stay_smooth():
    many = [Choice(f"org/model-{i}", "downloaded", i * 10**7, i * 10**7, 4096) for i in range(500)]
    app = StartApp(looks([CHOICES[0], *many]))
    async with app.run_test(size=(200, 60)) as pilot:
        await ready(pilot)
        start, body, began = start_of(app), app.screen.query_one("#start"), time.process_time()
        for _ in range(20):
            start.typed("7")
            body.show()
            start.pressed("backspace")
            start.move(30)
            body.show()
        assert (time.process_time() - began) / 40 < 0.05, "seconds for a key; it takes 0.003"
        await pilot.press("end", "home")
        assert start_of(app).selected == CHOICES[0]


# Sizes, colours, company


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (300, 100)])
async def test_any_size_survives(size):
    app = StartApp()
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("tab", "x", "escape", "end")
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        shown(app)
        await pilot.press("home", "tab")
        await pilot.resize_terminal(*size)
        await pilot.pause()
        shown(app)


async def test_other_colours_change_no_character():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        before = shown(app)
        app.screen_shown.repaint(Palette(app.available_themes["textual-light"]))
        await pilot.pause()
        assert shown(app) == before


async def test_over_a_run_its_keys_do_not_reach_the_run():
    app = live_app(loading_events())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = StartScreen(Palette(app.current_theme), CONFIG, looks=looks)
        app.push_screen(screen)
        await pilot.pause(0.1)
        theme = app.theme
        await pilot.press(*"qt 1/", "tab", *"q ")
        app.tick()
        assert app.screen is screen and app.theme == theme
        assert not app._leaving
        assert screen.start.listing.search.text == "qt 1/"


def test_the_first_paint_waits_for_nothing_heavy():
    code = (
        "import sys, llamatop.tui.start; heavy = {'polars', 'torch', 'transformers', "
        "'huggingface_hub', 'psutil', 'pynvml', 'llamatop.tui.start.scan'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_looking_around_needs_nothing_heavy_either(tmp_path: Path):
    code = (
        "import sys; from llamatop.tui.start.looks import looks; [f() for f in looks().values()]; "
        "print(*sorted({'polars', 'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80", "120"])
def test_start_as_a_picture(snap_compare, size):
    async def act(pilot) -> None:
        await ready(pilot)
        await pilot.press("down", "down", "down", "down")

    assert snap_compare(StartApp(), terminal_size=size, run_before=act)


# Marks


def of_recordings(count: int) -> StartApp:
    """A list with so many recordings, the cursor not yet among them."""
    return StartApp(
        looks(kept=[structs.replace(KEPT[0], path=Path(f"{i}.parquet")) for i in range(count)])
    )


def first_recording(app: StartApp) -> None:
    rows = start_of(app).listing.rows
    start_of(app).point(next(i for i, row in enumerate(rows) if isinstance(row, Kept)))


async def test_recordings_are_marked_and_compared():
    app = of_recordings(8)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        first_recording(app)
        await pilot.press("space")
        assert start_of(app).marked == [Path("0.parquet")]
        assert "mark another recording" in "\n".join(shown(app))
        await pilot.press("down", "space")
        text = "\n".join(shown(app))
        assert "llamatop compare 0.parquet 2.parquet --tui" in text and "compare 2" in text
        assert sum("│A demo" in row or "│B demo" in row for row in shown(app)) == 2
        await pilot.press("enter")
    assert app.chosen == [(Path("0.parquet"), Path("2.parquet"))]


async def test_marks_are_taken_away_one_by_one_or_all_at_once():
    app = of_recordings(8)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        first_recording(app)
        await pilot.press("space", "space", "up", "space")
        assert start_of(app).marked == [Path("0.parquet")]
        await pilot.press("escape")
        assert start_of(app).marked == [] and not app.chosen
        await pilot.press(*["up"] * 9)
        first_recording(app)
        await pilot.press(*["space"] * 7)
        assert len(start_of(app).marked) == 6
        assert "find no room side by side" in "\n".join(shown(app))


async def test_a_blank_in_a_search_is_a_blank_and_marks_nothing():
    app = StartApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await pilot.press(*"demo", "space", *"recording")
        assert app.screen_shown.start.listing.search.text == "demo recording"
        assert start_of(app).marked == []
        await pilot.press("ctrl+t")
        assert start_of(app).marked == [KEPT[0].path]
