"""What the start screen is made of, without a screen: rows, form, fit, command, editing."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llamatop.commands.asked import config_of
from llamatop.errors import InputError
from llamatop.predict.fit import BAND, QUANTIZED_BAND
from llamatop.reports.fit import RUNTIME_BYTES, Gpu, Machine, estimate, verdict
from llamatop.reports.models import Choice
from llamatop.settings.config import RunConfig
from llamatop.tui.drawing.lines import line_width
from llamatop.tui.start.aside import command, field_at, places, recording, settings
from llamatop.tui.start.command import run_command, wrapped
from llamatop.tui.start.edit import LONGEST, Edit
from llamatop.tui.start.form import NAMES, Form
from llamatop.tui.start.keys import footer_keys
from llamatop.tui.start.listing import columns_of, heading, row_line, typed
from llamatop.tui.start.memory import memory
from llamatop.tui.start.plan import start_plan
from llamatop.tui.start.rows import Heading, Hint, group_start, nearest, rows_of, selectable
from llamatop.tui.start.state import Start
from tests.tui.start.case import CHOICES, DEFAULTS, KEPT, LLAMA, MACHINE, SCOUT


def started(defaults: RunConfig = DEFAULTS) -> Start:
    start = Start(defaults)
    start.found_machine(MACHINE)
    start.found_models(CHOICES)
    start.found_recordings(KEPT)
    for what in ("machine", "models", "recordings"):
        start.looked(what)
    return start


# Rows


def test_rows_stand_in_groups_recordings_last():
    rows = rows_of(CHOICES, KEPT, "")
    headings = [row.text for row in rows if isinstance(row, Heading)]
    first = "bundled folders downloaded built-in another recent"
    assert [text.replace(",", " ").split()[0] for text in headings] == first.split()
    assert rows[-1] == KEPT[-1]
    assert any(isinstance(row, Hint) for row in rows)


def test_every_word_of_a_search_must_be_there_and_the_typed_name_comes_last():
    rows = [row for row in rows_of(CHOICES, KEPT, "LLAMA instruct 8b") if selectable(row)]
    assert [row.model for row in rows] == [LLAMA, "LLAMA instruct 8b"]
    assert rows[-1].source == "typed"


def test_a_listed_name_is_not_offered_as_typed_too():
    assert all(getattr(row, "source", "") != "typed" for row in rows_of(CHOICES, KEPT, LLAMA))


def test_recordings_are_found_by_time_and_state():
    assert [r for r in rows_of([], KEPT, "2026-11-05") if r in KEPT] == KEPT[:1]
    assert [r for r in rows_of([], KEPT, "cut off") if r in KEPT] == KEPT[1:]


def test_the_cursor_passes_over_headings_both_ways():
    rows = rows_of(CHOICES, KEPT, "")
    assert nearest(rows, 0, 1) == 1
    assert nearest(rows, 0, -1) == 1
    assert selectable(rows[nearest(rows, len(rows) - 1, 1)])
    assert nearest([], 0, 1) == 0
    assert nearest([Heading("nothing")], 0, 1) == 0


def test_groups_are_jumped_between():
    rows = rows_of(CHOICES, KEPT, "")
    places = [group_start(rows, 1, 1)]
    places.append(group_start(rows, places[-1], 1))
    assert [rows[at].source for at in places] == ["folder", "downloaded"]
    assert group_start(rows, places[-1], -1) == places[0]
    assert group_start(rows, 1, -1) == 1


# State


def test_the_cursor_stays_where_the_person_put_it_while_lists_fill():
    start = Start(DEFAULTS)
    start.found_machine(MACHINE)
    start.found_models(CHOICES[3:])
    start.looked("models")
    start.move(1)
    assert start.selected is CHOICES[3]
    start.found_models(CHOICES)
    start.looked("models")
    assert start.selected is CHOICES[3]


def test_the_model_of_the_command_line_is_under_the_cursor():
    assert started(replace(DEFAULTS, model=SCOUT)).selected == CHOICES[-1]


def test_a_model_that_is_listed_nowhere_is_listed_as_asked_for():
    start = started(replace(DEFAULTS, model="a/b"))
    assert start.selected == Choice("a/b", "given", None, None, None)
    assert start.chosen() == replace(DEFAULTS, model="a/b")


def test_clearing_a_search_keeps_what_was_found():
    start = started()
    start.typed("qwen3")
    found = start.selected
    assert start.back()
    assert start.selected is found
    assert not start.back()


def test_weights_follow_the_row_until_the_person_chooses():
    start = started(replace(DEFAULTS, model=LLAMA))
    assert start.chosen().weights == "random"
    start.typed("demo")
    assert start.chosen().weights == "auto"
    start.form.at = NAMES.index("weights")
    start.in_form = True
    start.turn(1)
    assert start.chosen().weights == "random"


def test_a_home_folder_is_run_by_its_whole_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    start = started()
    start.typed("~/model")
    assert start.chosen().model == "/home/someone/model"


def test_a_fault_sends_the_person_to_its_field():
    start = started()
    start.form.edits["output"] = Edit.of("0")
    assert start.chosen() is None
    assert start.in_form and start.form.field.name == "output"
    assert start.told == "output: must be between 1 and 2147483648"
    assert start.command() == []
    start.form.at = NAMES.index("engine")
    told = "".join(text for text, _ in command(start, 80, 3).lines[0])
    assert told.strip() == start.told, "why there is no command, whichever field has the keys"


def test_fits_are_asked_for_once_per_row_and_setting():
    asked = []

    def fits(choice, config):
        asked.append((choice.model, config.model, config.weights, config.concurrency))
        return estimate(MACHINE, choice, config)

    start = Start(DEFAULTS, fits)
    assert start.fit(CHOICES[4]) is None, "the machine is not known yet"
    start.found_machine(MACHINE)
    for _ in range(3):
        start.fit(CHOICES[4])
    start.fit(CHOICES[4], 64)
    assert asked == [(LLAMA, LLAMA, "random", (4,)), (LLAMA, LLAMA, "random", (64,))]


# Fit


@pytest.mark.parametrize(
    ("model", "told"), [("demo", "fits"), (LLAMA, "tight"), (SCOUT, "does not fit")]
)
def test_a_verdict_comes_from_weights_cache_and_runtime(model, told):
    choice = next(choice for choice in CHOICES if choice.model == model)
    fit = estimate(MACHINE, choice, DEFAULTS)
    if told == "tight":
        fit = estimate(replace(MACHINE, available=round(1.01 * fit.needed)), choice, DEFAULTS)
    assert fit.verdict == told
    assert fit.needed == sum(dict(fit.parts).values())
    assert not fit.estimated


def test_a_quantised_checkpoint_has_the_band_of_one(monkeypatch):
    monkeypatch.setattr("llamatop.predict.residuals.recalled", list)
    packed = Choice("openai/gpt-oss-20b", "downloaded", None, None, None)
    needed = estimate(MACHINE, packed, DEFAULTS).needed
    between = replace(MACHINE, available=round(needed * (1 + (BAND + QUANTIZED_BAND) / 2)))
    assert estimate(between, packed, replace(DEFAULTS, weights="auto")).verdict == "tight"
    assert estimate(between, packed, replace(DEFAULTS, weights="random")).verdict == "fits"


def test_what_no_coefficients_ship_of_is_an_estimate():
    fit = estimate(MACHINE, CHOICES[2], DEFAULTS)
    assert fit.estimated and dict(fit.parts)["runtime"] == RUNTIME_BYTES


def test_the_cache_grows_with_the_largest_level_and_the_tokens():
    llama = CHOICES[4]
    one = dict(estimate(MACHINE, llama, replace(DEFAULTS, concurrency=(1,))).parts)
    many = dict(estimate(MACHINE, llama, replace(DEFAULTS, concurrency=(1, 8, 2))).parts)
    assert one["KV cache"] == pytest.approx(131_072 * 327, rel=0.01)
    assert many["KV cache"] == pytest.approx(8 * one["KV cache"], rel=0.01)


def test_a_wider_dtype_takes_more():
    wide = estimate(MACHINE, CHOICES[3], replace(DEFAULTS, dtype="float32"))
    assert dict(wide.parts)["weights"] == 4 * 596_049_920


def test_an_accelerator_is_measured_by_its_own_memory():
    gpu = Machine("cpu", 8, 1_000, 2_000, (Gpu("H200", 140_000_000_000, None),))
    assert estimate(gpu, CHOICES[4], DEFAULTS).verdict == "fits"
    assert estimate(gpu, CHOICES[4], replace(DEFAULTS, device="cpu")).verdict == "does not fit"
    silent = Machine("cpu", 8, 1_000, 2_000, (Gpu("?", None, None),))
    assert estimate(silent, CHOICES[4], DEFAULTS).verdict == "unknown"
    assert estimate(gpu, CHOICES[4], replace(DEFAULTS, device="cuda:9")).available == 1_000


def test_what_is_not_known_is_not_guessed():
    assert estimate(MACHINE, Choice("x", "typed", None, None, None), DEFAULTS).needed is None
    assert [verdict(100, 111), verdict(100, 95), verdict(100, 80)] == [
        "fits", "tight", "does not fit",
    ]  # fmt: skip


# Form


def edited(**texts: str) -> Form:
    form = Form(DEFAULTS)
    for name, text in texts.items():
        form.edits[name] = Edit.of(text)
    return form


def test_the_form_gives_back_the_defaults_it_was_filled_with():
    defaults = RunConfig(
        concurrency=(1, 2), requests=7, engine="scripted", dtype="float16", device="cuda:3",
        layers=2, seed=5, slo={"ttft": 0.5}, weights="random",
    )  # fmt: skip
    assert Form(defaults).config("demo") == defaults


def test_levels_are_read_with_blanks_and_commas():
    config = edited(concurrency=" 1, 2 4,8 ", requests="3").config("m")
    assert (config.concurrency, config.requests, config.endless) == ((1, 2, 4, 8), 3, False)


def test_targets_in_place_of_levels_look_for_what_keeps_them():
    config = edited(concurrency="until ttft=0.5, tpot=0.1").config("m")
    assert (config.until_slo, config.endless) == (True, False)
    assert config.slo == {"ttft": 0.5, "tpot": 0.1}
    assert {"--slo ttft=0.5,tpot=0.1", "--until-slo"} <= set(run_command(config))
    assert Form(config).config("m") == config
    assert "'ttfx' is none of" in edited(concurrency="until ttfx=1").problems()["concurrency"]


def test_one_level_without_requests_runs_until_stopped_a_sweep_ends():
    assert edited().config("m").endless
    assert not edited(concurrency="1 2").config("m").endless


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("concurrency", "", "give at least one number of requests, as in 1 2 4"),
        ("concurrency", "0", "must be between 1 and 4096"),
        ("concurrency", "4 x", "must be a whole number"),
        ("concurrency", "100000", "must be between 1 and 4096"),
        ("prompt", "", "give a number"),
        ("output", "-1", "must be between 1 and 2147483648"),
        ("requests", "1.5", "must be a whole number"),
        ("requests", "9" * 300, "must be between 1 and 2147483648"),
    ],
)
def test_a_bad_value_is_told_at_its_field(field, text, told):
    form = edited(**{field: text})
    assert form.problems() == {field: told}
    with pytest.raises(InputError):
        form.config("m")


def test_tokens_beyond_the_context_are_told_at_the_field_that_has_too_many():
    alone = "context is 2,048 tokens"
    assert edited(output="1920").problems(2048) == {}
    assert edited(prompt="5000").problems(2048) == {"prompt": alone}
    assert edited(output="2048").problems(2048) == {"output": alone}
    assert edited(prompt="5000", output="5000").problems(2048) == {"prompt": alone, "output": alone}
    assert edited(output="2000").problems(2048) == {
        "prompt": "with the output above 2,048 tokens",
        "output": "with the prompt above 2,048 tokens",
    }


def test_a_context_that_is_too_short_is_no_want_of_memory():
    config = replace(DEFAULTS, concurrency=(4096,), prompt_toks=5000)
    found = estimate(MACHINE, CHOICES[0], config)
    assert (found.verdict, found.needed) == ("too short", None)
    assert estimate(MACHINE, CHOICES[3], config).verdict == "does not fit"


def test_options_are_picked_by_turning_and_by_their_first_letter():
    form = Form(DEFAULTS)
    form.at = NAMES.index("engine")
    form.pressed("right")
    assert form.picked["engine"] == "continuous"
    form.pressed("left")
    form.typed("t")
    assert form.picked["engine"] == "threads"
    form.typed(" ")
    assert form.picked["engine"] == "auto"
    form.typed("z")
    assert form.picked["engine"] == "auto"


def test_quantising_is_picked_and_what_it_needs_is_told(monkeypatch):
    form = Form(DEFAULTS)
    form.at = NAMES.index("quantize")
    form.typed("i")
    monkeypatch.setattr("llamatop.tui.start.form.find_spec", lambda name: name)
    assert form.problems() == {}
    assert form.config("m").quantize == "int8"
    assert "--quantize int8" in run_command(form.config("m"))
    monkeypatch.setattr("llamatop.tui.start.form.find_spec", lambda name: None)
    assert form.problems() == {}, "on a CPU torch may do"
    form.turn(1)
    assert form.config("m").quantize == "int4"
    assert "pip install bitsandbytes" in form.problems()["quantize"]


def test_fields_that_do_not_go_together_are_told(monkeypatch):
    monkeypatch.setattr("llamatop.tui.start.form.find_spec", lambda name: name)
    form = Form(replace(DEFAULTS, offload="disk"))
    assert form.problems() == {}
    form.picked["engine"] = "threads"
    assert "cannot offload" in form.problems(2048)["engine"]
    form.picked |= {"engine": "auto", "quantize": "int4"}
    assert "choose one" in form.problems(2048)["quantize"]


@pytest.mark.parametrize(
    ("how", "traced"),
    [("int8", 9_086_705_664), ("int4", 6_027_747_328)],
)
def test_quantised_weights_are_about_what_the_tracer_says(how, traced):
    llama = next(choice for choice in CHOICES if choice.model == LLAMA)
    found = estimate(MACHINE, llama, replace(DEFAULTS, quantize=how))
    assert found.estimated
    assert dict(found.parts)["weights"] == pytest.approx(traced, rel=0.01)


# Command


CONFIGS = st.builds(
    RunConfig,
    model=st.sampled_from(["demo", LLAMA, "/a b/$c", "it's"]),
    weights=st.sampled_from(["auto", "random"]),
    concurrency=st.lists(st.integers(1, 4096), min_size=1, max_size=4).map(tuple),
    requests=st.integers(1, 99),
    layers=st.none() | st.integers(1, 9),
    engine=st.sampled_from(["auto", "batch", "scripted"]),
    rate=st.none() | st.sampled_from([0.5, 20.0]),
    max_time=st.none() | st.just(30.0),
    slo=st.sampled_from([{}, {"ttft": 0.5, "tpot": 0.05}]),
    until_oom=st.booleans(),
    memory=st.none() | st.integers(1, 10**12),
    prompt_toks=st.integers(1, 9999),
    gen_toks=st.integers(1, 9999),
    dtype=st.sampled_from(["auto", "float16"]),
    device=st.sampled_from(["auto", "cuda:1"]),
    seed=st.integers(0, 9),
)


@given(CONFIGS)
def test_the_command_line_asks_for_the_very_same_run(config):
    arguments = shlex.split(" ".join(run_command(config)))[1:]
    assert config_of(arguments) == config


def test_a_search_for_the_end_of_memory_begins_at_one_and_ends():
    config = config_of(["--model", "demo", "--until-oom"])
    assert (config.concurrency, config.endless, config.until_oom) == ((1,), False, True)


def test_an_endless_run_is_what_the_command_line_does_anyway():
    command = " ".join(run_command(DEFAULTS))
    assert command == "llamatop --model demo --concurrency 4 --prompt-toks 128 --gen-toks 200"
    assert config_of(shlex.split(command)[1:]) == DEFAULTS


def test_names_are_quoted_and_made_harmless():
    assert run_command(RunConfig(model="a b;\x1b"))[1] == "--model 'a b;␛'"
    assert run_command(RunConfig(model="-rf"))[1] == "--model ./-rf"
    served = run_command(RunConfig(serve="run {port} x", tokenizer="/a b"))
    assert "--serve 'run {port} x'" in served and "--tokenizer '/a b'" in served


def test_a_long_command_is_continued():
    lines = wrapped(run_command(replace(DEFAULTS, model=LLAMA)), 60)
    assert len(lines) > 1
    assert all(line.endswith("\\") for line in lines[:-1])
    joined = " ".join(line.rstrip("\\") for line in lines)
    assert shlex.split(joined) == shlex.split(" ".join(run_command(replace(DEFAULTS, model=LLAMA))))


# Editing


def test_a_line_is_edited_at_its_caret():
    edit = Edit.of("llama")
    for key in ("left", "left", "backspace", "delete"):
        edit = edit.pressed(key)
    assert edit == Edit("lla", 2)
    assert edit.typed("X\nY\x1b").text == "llX Y␛a"
    assert edit.pressed("home").typed("a").text == "alla"
    assert edit.pressed("end").pressed("ctrl+u").text == ""
    assert Edit.of("org/model-7b").pressed("ctrl+w").text == "org/model-"
    assert edit.pressed("f5") is None


@pytest.mark.parametrize("key", ["backspace", "delete", "ctrl+u", "ctrl+k", "ctrl+w"])
def test_what_is_selected_is_replaced_or_deleted_at_once(key):
    selected = Edit.of("128").selected()
    assert selected.typed("5") == Edit("5", 1)
    assert selected.pressed(key) == Edit()


def test_keys_that_move_end_a_selection_and_keep_its_text():
    selected = Edit.of("128").selected()
    assert selected.pressed("left") == selected.pressed("home") == Edit("128", 0)
    assert selected.pressed("right") == selected.pressed("end") == Edit("128", 3)
    assert selected.pressed("f5") is None


@given(
    st.text(max_size=400),
    st.booleans(),
    st.lists(st.sampled_from(["left", "backspace", "delete", "ctrl+w"])),
)
def test_a_caret_never_leaves_its_line(text, selected, keys):
    edit = Edit().typed(text)
    edit = edit.selected() if selected else edit
    for key in keys:
        edit = edit.pressed(key)
        assert 0 <= edit.caret <= len(edit.text) <= LONGEST


@given(st.text(max_size=30), st.integers(1, 12), st.booleans(), st.booleans())
def test_a_typed_line_keeps_to_its_cells(text, width, active, selected):
    edit = Edit().typed(text)
    shown = typed(edit.selected() if selected else edit, width, active)
    assert line_width(shown) <= width


# Places


@pytest.mark.parametrize("width", range(8, 200, 7))
def test_rows_and_heading_fill_their_cells_exactly(width):
    start = started()
    for row in rows_of(CHOICES, KEPT, ""):
        assert line_width(row_line(start, row, width, True)) == width
    assert columns_of(width).name >= 1
    if width >= 20:
        assert line_width(heading(width)) <= width


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("width", [1, 20, 44, 80, 99, 100, 120, 200, 500])
@pytest.mark.parametrize("height", [1, 2, 5, 6, 11, 12, 18, 24, 36, 60, 200])
def test_parts_neither_overlap_nor_leave_the_screen(width, height, replay):
    boxes = start_plan(width, height, replay)
    taken = set()
    for box in boxes.values():
        cells = {
            (x, y) for x in (box.x, box.x + box.width - 1) for y in range(box.y, box.y + box.height)
        }
        assert not taken & cells
        assert all(0 <= x < width and 0 <= y < height for x, y in cells)
        taken |= cells
    assert "list" in boxes


@pytest.mark.parametrize("height", [1, 2, 3, 4, 8, 12])
def test_each_field_is_found_where_it_is_drawn(height):
    rows, per = places(height)
    found = {field_at(x, y, 78, height) for x in range(78) for y in range(rows)}
    assert found - {None} == set(range(len(NAMES)))
    assert per * rows >= len(NAMES)
    assert field_at(0, rows, 78, height) is None


def test_recordings_open_by_their_parquet_name():
    start = started()
    start.move(1000)
    assert start.chosen() == Path("recordings/[/x].parquet")
    assert start.command() == ["llamatop replay", "'recordings/[/x].parquet'"]


# What is not sure is not said


def test_a_setting_that_is_not_valid_has_no_verdict():
    start = started()
    start.tab(1, True)
    assert memory(start, 60, 20).corner
    start.typed("x")
    assert start.faulty
    told = memory(start, 60, 20)
    assert not told.corner and "not valid" in plain(told.lines[-1])
    assert not settings(start, 60, 3).corner


def test_what_is_drawn_is_not_exact():
    start = started()
    start.in_form = True
    start.form.go(NAMES.index("prompt"))
    hint = plain(tuple(settings(start, 60, 3).hints[0]))
    assert hint == "tokens of each prompt, exactly"
    start.form.edits["prompt"] = Edit("64:512", 0)
    assert plain(tuple(settings(start, 60, 3).hints[0])) == "tokens of each prompt, drawn for each"
    start._follow()
    assert "232 tokens" not in plain(memory(start, 60, 20).lines[4])
    for width in (38, 60):
        told = memory(start, width, 20)
        assert plain(tuple(told.corner[0])) == "● fits at the longest"
        (cache,) = (plain(line) for line in told.lines if plain(line).startswith(" KV"))
        assert cache.rstrip().endswith(" 712 tokens")
    assert plain(tuple(settings(start, 60, 3).corner[0])) == "● fits at the longest"


def test_keys_that_turn_a_value_are_offered_where_there_is_one_to_turn():
    assert "value" in {key.word for key in footer_keys(True, False, "", picks=True)}
    assert "value" not in {key.word for key in footer_keys(True, False, "")}


def test_a_sign_of_the_list_is_explained_beside_it():
    early = replace(KEPT[0], state="stopped early")
    told = " ".join(" ".join(plain(line) for line in recording(early, 60)).split())
    assert "\u25cb stopped early: before all that was asked for was done" in told


def plain(line) -> str:
    return "".join(text for text, _ in line)
