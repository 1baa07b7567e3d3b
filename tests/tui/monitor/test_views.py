import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    AdmissionPaused,
    DeviceAllocated,
    DeviceSampled,
    EngineLost,
    Event,
    HostSampled,
    LevelEnded,
    LevelStarted,
    MachineMeasured,
    MemoryPredicted,
    ModelLoaded,
    ModelTraced,
    RankSampled,
    RequestAdmitted,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    Tick,
    TokensEmitted,
)
from llamatop.figures.requests import decode_rate, gaps, queue_time, ttft
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Request
from llamatop.settings.config import RunConfig
from llamatop.tui.drawing.lines import join, line_width
from llamatop.tui.monitor.frame import Choices, Frame, Keeping, Playback
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.plan import PANELS
from llamatop.tui.monitor.views.events import events
from llamatop.tui.monitor.views.footer import footer, keys_of
from llamatop.tui.monitor.views.header import header
from llamatop.tui.monitor.views.history import with_marks
from llamatop.tui.monitor.views.latency import latency
from llamatop.tui.monitor.views.memory import charted_of, memory, turned
from llamatop.tui.monitor.views.panel import Content, axis, framed
from llamatop.tui.monitor.views.parts import bar_line, legend, pieces
from llamatop.tui.monitor.views.request import request_page
from llamatop.tui.monitor.views.requests import chosen, columns_of, content, heading, row
from llamatop.tui.monitor.views.state import loss_of, place_of, progress_of, state_of
from llamatop.tui.monitor.views.throughput import throughput
from llamatop.tui.monitor.views.timeline import slowest
from llamatop.tui.monitor.views.transport import time_at, track, transport
from llamatop.tui.monitor.views.values import NOTHING, TIMES, rate, scale, span
from tests.tui.conftest import GATED, loading_events, refused_events, started, until

WIDTHS = (0, 1, 3, 10, 24, 38, 46, 70, 118, 198, 498)
HEIGHTS = (0, 1, 2, 3, 5, 9, 14, 30)


def framed_session(session: Session, **options: object) -> Frame:
    figures = Figures()
    figures.look(session)
    return Frame(session, figures, **options)


def plain(line) -> str:
    return "".join(text for text, _ in line)


def text_of(lines) -> str:
    return "\n".join(plain(line) for line in lines)


def loaded(**changes: object) -> ModelLoaded:
    facts = ModelLoaded(
        SECOND,
        engine="batch",
        engine_reason="fastest on this CPU",
        device="cpu",
        device_name="a processor",
        dtype="bfloat16",
        weights="random",
        parameters=8_030_261_248,
        weights_bytes=16_060_522_496,
        threads=2,
    )
    return msgspec.structs.replace(facts, **changes)


@pytest.fixture
def half_way(run_events):
    return fold(until(run_events, 6))


# State


def one_of_two() -> list[object]:
    """Two requests, of which one has completed."""
    queued = [RequestQueued(3, i, 0, 8, 8) for i in (0, 1)]
    return [*queued, RequestFinished(4, 0, "length")]


def turned_up(*, warmup: bool) -> list[object]:
    """A level before whose first request another is in flight."""
    first = LevelStarted(2, 0, 4, None), RequestQueued(3, 0, 0, 8, 8, warmup)
    return [*first, LevelStarted(4, 1, 5, None)]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ([], "loading"),
        ([loaded()], "getting ready"),
        ([loaded(), LevelStarted(2, 0, 4, 8)], "warm-up"),
        ([loaded(), LevelStarted(2, 0, 4, 8), RequestQueued(3, 0, 0, 8, 8)], "running"),
        ([loaded(), LevelStarted(2, 0, 4, 1), RequestQueued(3, 0, 0, 8, 8)], "running"),
        ([loaded(), LevelStarted(2, 0, 4, 2), *one_of_two()], "draining"),
        ([loaded(), *turned_up(warmup=False)], "draining"),
        ([loaded(), *turned_up(warmup=True)], "warm-up"),
        ([loaded(), LevelStarted(2, 0, 4, 8), AdmissionPaused(3, True)], "paused"),
        ([loaded(), EngineLost(3, -9, "killed")], "engine lost"),
        ([loaded(), EngineLost(3, -9, "killed"), RunEnded(4, "oom")], "out of memory"),
        ([loaded(), RunEnded(4, "ok")], "finished"),
        ([loaded(), RunEnded(4, "stopped")], "stopped"),
        ([loaded(), RunEnded(4, "failed")], "failed"),
    ],
)
def test_the_state_says_what_the_run_is_doing(more, word):
    assert state_of(fold([started(), *more])).word == word


def test_a_refused_model_is_told():
    assert state_of(fold(refused_events())).word == "refused"


def test_the_place_in_a_sweep(half_way):
    assert place_of(half_way) == "level 1 of 2"
    assert place_of(fold([started(), LevelStarted(1, 0, 4, None)])) == ""


def test_the_place_in_a_sweep_that_began_in_mid_run():
    by_hand = LevelStarted(1, 0, 4, None, place=1, places=1)
    planned = LevelStarted(2, 1, 2, 8, place=2, places=5)
    assert place_of(fold([started(), by_hand])) == ""
    assert place_of(fold([started(), by_hand, planned])) == "level 2 of 5"


def test_the_place_in_the_sweep_of_an_old_recording():
    first, second = LevelStarted(1, 0, 1, 4), LevelStarted(2, 1, 2, 8)
    asked = msgspec.structs.replace(started(), config=RunConfig(concurrency=(1, 2)))
    assert place_of(fold([asked, first, second])) == "level 2 of 2"


def test_which_of_several_runs_of_one_plan_it_is():
    asked = msgspec.structs.replace(started(), config=RunConfig(repeat=1, repeats=3))
    session = fold([asked, LevelStarted(1, 0, 4, None)])
    assert "concurrency 4  run 1 of 3" in plain(header(framed_session(session), 80, 2)[1])


def test_a_load_tells_bytes_percent_and_time_left():
    share, words = progress_of(fold(loading_events()))
    assert share == 0.25
    assert words == "loading weights  4.00 GB of 16.0 GB  25 %  0:12 left"


def test_a_load_without_a_total_tells_its_stage():
    assert progress_of(fold([started()])) == (None, "starting the engine")


# Header


def test_the_header_names_model_weights_engine_and_device():
    session = fold([started(), loaded(layers=4, whole_layers=32)])
    first = plain(header(framed_session(session), 200, 2)[0])
    for word in (
        "meta-llama/Llama-3.1-8B-Instruct",
        "8.03B random, slice 4/32 layers",
        "batch engine",
        "bfloat16",
        "cpu a processor",
        "2 threads",
    ):
        assert word in first


def test_on_a_narrow_screen_an_id_makes_room_for_the_engine():
    session = fold([started("HuggingFaceTB/SmolLM2-135M-Instruct"), loaded()])
    frame = framed_session(session, keeping=Keeping("a.parquet"))
    wide, narrow = (plain(header(frame, width, 2)[0]) for width in (160, 80))
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in wide and "a processor" in wide
    assert " SmolLM2-135M-Instruct " in narrow and "batch engine" in narrow


def test_the_header_names_an_accelerator_without_its_maker_whom_cuda_tells():
    made = {"device": "cuda:0", "device_name": "NVIDIA H100 80GB HBM3"}
    session = fold([started(), loaded(**made)])
    kept = framed_session(session, keeping=Keeping("x.parquet"))
    assert "  cuda:0 H100 80GB HBM3" in plain(header(kept, 120, 2)[0])


def test_the_header_shows_whether_it_is_kept():
    session = Session()
    assert "not recording" in text_of(header(framed_session(session), 120, 2))
    kept = framed_session(session, keeping=Keeping("x.parquet"))
    assert "● rec" in text_of(header(kept, 120, 2))
    refused = framed_session(fold(refused_events()), keeping=Keeping("x.parquet"))
    assert "nothing to record" in text_of(header(refused, 120, 2))
    broken = framed_session(session, keeping=Keeping("x.parquet", "disk full"))
    assert "recording stopped: disk full" in text_of(header(broken, 120, 2))


def test_the_header_says_why_the_engine_was_lost():
    session = fold([started(), loaded(), EngineLost(3, -9, "killed")])
    assert "engine lost  killed (SIGKILL)" in text_of(header(framed_session(session), 120, 2))


@pytest.mark.parametrize("width", range(30, 80))
def test_the_level_is_told_in_full_or_not_at_all(width, run_events):
    """Where the run stands is a group of the header's second line."""
    line = plain(header(framed_session(fold(run_events)), width, 2)[1])
    assert line.count("level 2 of 2") == line.count("level")
    assert ("level" in line) == (width >= 41)
    assert "concurrency 8" in line


# Panels


@pytest.mark.parametrize("view", [throughput, latency, memory, events])
@pytest.mark.parametrize(
    "stage", ["nothing", "loading", "refused", "half way", "ended", "on a gpu", "crowded"]
)
def test_a_panel_fits_into_any_size(view, stage, run_events, half_way):
    session = {
        "nothing": Session(),
        "loading": fold(loading_events()),
        "refused": fold(refused_events()),
        "half way": half_way,
        "ended": fold(run_events),
        "on a gpu": fold(on_a_gpu(throttle=("sw_power_cap",))),
        "crowded": crowded(),
    }[stage]
    for width in WIDTHS:
        for height in HEIGHTS:
            content = view(framed_session(session), width, height)
            lines = framed(1, "Title", content, width + 2, height + 2)
            assert len(lines) == height + 2
            assert all(line_width(line) == width + 2 for line in lines)
            spare = [plain(line)[width:].strip() for line in content.lines[:height]]
            assert not any(spare) or width < 46, (width, height)


def test_throughput_shows_figures_and_marks_levels(half_way, run_events):
    told = text_of(throughput(framed_session(half_way), 70, 8).lines)
    assert "tok/s" in told
    assert "peak" in told
    assert "level" in told
    assert f"╷{TIMES}2" in told
    assert f"╷{TIMES}8" in text_of(throughput(framed_session(fold(run_events)), 70, 8).lines)


@pytest.mark.parametrize("width", [40, 70, 118])
def test_now_peak_and_level_average_are_told_at_any_width(width, half_way):
    told = plain(throughput(framed_session(half_way), width, 8).lines[0])
    assert [word for word in ("tok/s", "peak", "level") if word in told] == [
        "tok/s",
        "peak",
        "level",
    ]
    assert "goodput" not in told


def test_five_digits_leave_room_for_the_level_at_80_columns():
    tokens = [TokensEmitted(i * SECOND // 10, 0, 1024) for i in range(1, 31)]
    begun = [LevelStarted(0, 0, 1, None), RequestQueued(0, 0, 0, 8, 99_999)]
    session = fold([started(), loaded(), *begun, *tokens, Tick(3 * SECOND)])
    line = throughput(framed_session(session), 40, 5).lines[0]
    assert "peak 10,240  level" in plain(line) and line_width(line) <= 40


def test_with_targets_goodput_is_told(half_way):
    config = msgspec.structs.replace(half_way.started.config, slo={"ttft": 99.0})
    half_way.started = msgspec.structs.replace(half_way.started, config=config)
    frame = framed_session(half_way)
    told = plain(throughput(frame, 70, 8).lines[0])
    assert f"goodput {rate(frame.figures.goodput()):>5} req/s" in told


@pytest.mark.parametrize("width", [38, 70, 118])
def test_how_an_open_loop_keeps_up_is_told_at_any_width(half_way, width):
    config = msgspec.structs.replace(half_way.started.config, rate=3.0)
    half_way.started = msgspec.structs.replace(half_way.started, config=config)
    frame = framed_session(half_way)
    asked, real = frame.figures.arrivals()
    assert asked == 3.0
    told = plain(throughput(frame, width, 8).lines[0])
    assert f"{rate(real)} of {rate(asked)} req/s" in told and "tok/s" in told


@pytest.mark.parametrize("width", [84, 120])
def test_the_header_tells_shared_beginnings_and_turns(half_way, width):
    config = half_way.started.config
    plain_lengths = f"{config.prompt_spelling} in {config.gen_spelling} out"
    assert plain_lengths in plain(header(framed_session(half_way), width, 2)[0])
    config = msgspec.structs.replace(config, prefix_toks=256, turns=4)
    half_way.started = msgspec.structs.replace(half_way.started, config=config)
    told = plain(header(framed_session(half_way), width, 2)[0])
    assert f"256+{plain_lengths}  4 turns" in told


def test_a_finished_run_is_shown_as_a_whole(run_events):
    session = fold(run_events)
    content = throughput(framed_session(session), 70, 8)
    assert "end" in plain(content.foot)
    assert f" tok/s {TIMES}8   peak" in plain(content.lines[0]), "whose average it is"
    assert plain(join(latency(framed_session(session), 60, 8).corner)).endswith(f"{TIMES}8")
    assert plain(content.lines[-1]).startswith((" ", "█", "▁", "▂", "▃", "▄", "▅", "▆", "▇"))
    assert plain(content.lines[-1]).strip("█ ▁▂▃▄▅▆▇╎") == ""


def test_loading_and_refusal_stand_in_the_middle():
    told = text_of(throughput(framed_session(fold(loading_events())), 70, 8).lines)
    assert "━" in told
    assert "4.00 GB of 16.0 GB" in told
    told = text_of(throughput(framed_session(fold(refused_events())), 70, 8).lines)
    assert GATED.split(":")[0] in told
    assert "q leaves" in told


def test_latency_keeps_its_places(half_way):
    empty = latency(framed_session(Session()), 46, 7).lines
    full = latency(framed_session(half_way), 46, 7).lines
    for before, after in zip(empty[:6], full[:6], strict=True):
        assert len(plain(before)) <= len(plain(after))
        assert plain(before)[:6] == plain(after)[:6]
    assert {plain(line)[6:33].count(" ") < 27 for line in full[1:6]} == {True}


def test_a_chart_of_nothing_has_no_scale():
    facts = [started(), loaded(), HostSampled(SECOND, 1, 1, 1), Tick(3 * SECOND)]
    frame = framed_session(fold(facts))
    for view in (memory, throughput):
        rows = [plain(line).strip() for line in view(frame, 70, 8).lines]
        assert not {row.split("╌")[0] for row in rows} & {"1", "1 B"}


def test_memory_shows_each_accelerator_and_what_it_does_not_tell():
    told = [
        HostSampled(SECOND, 10_000_000_000, 1, 16_000_000_000, (50.0, 100.0), 2_000_000_000, 99.0),
        DeviceSampled(SECOND, 0, "a GPU", 76_000_000_000, 80_000_000_000, 90.0, 312.0, 54.0),
        DeviceAllocated(SECOND, 0, 60_000_000_000, 64_000_000_000),
        DeviceSampled(SECOND, 1, "another"),
    ]
    lines = memory(framed_session(fold(told)), 120, 10).lines
    text = text_of(lines)
    assert "engine     2.00 GB" in text
    assert "10.0 GB of 16.0 GB  62 %" in text
    assert "76.0 GB of 80.0 GB  95 %" in text
    assert "allocated  60.0 GB" in text
    assert "312 W" in text
    assert "gpu 1          N/A" in text
    assert "▄█" in text
    warned = [span for line in lines for span in line if span[1] == "warn"]
    assert warned, "a nearly full memory is a warning"


def test_events_end_with_the_newest(run_events):
    session = fold(run_events)
    lines = events(framed_session(session), 60, 4).lines
    assert len(lines) == 4
    assert plain(lines[-1]).endswith("finished")
    every = text_of(events(framed_session(session), 90, 50).lines)
    assert "concurrency 8, 24 requests" in every
    assert "scripted failure" in every
    assert "tok/s  TTFT" in every


def test_the_top_of_a_chart_is_a_plain_number():
    assert [scale(v) for v in (0.3, 15, 250, 1500, 20_000)] == [
        "0.3",
        "15",
        "250",
        "1,500",
        "20,000",
    ]


def test_an_axis_is_as_wide_as_asked_and_never_wider():
    for width in range(120):
        assert line_width(axis(35, width, "now")) == width


def test_a_frame_is_rounded_and_numbered():
    lines = framed(2, "Latency", Content([(("x", "text"),)], corner=[[("12 done", "dim")]]), 30, 3)
    assert [plain(line) for line in lines] == [
        "╭─ ²Latency ─────── 12 done ─╮",
        "│x                           │",
        "╰────────────────────────────╯",
    ]


# Requests


@pytest.mark.parametrize("width", range(1, 200, 7))
def test_rows_have_the_width_of_the_table_and_progress_always(width, half_way):
    for request in half_way.requests.values():
        line = row(request, width)
        told = f"{request.tokens}/{request.max_tokens}"
        if width >= 48:
            assert line_width(line) <= width
        if width >= 32:
            assert told in plain(line)[:width]


def test_columns_stand_under_their_names(half_way):
    for width in (76, 100, 118, 198):
        names = plain(heading(width))
        request = next(r for r in half_way.requests.values() if r.state == "done")
        cells = plain(row(request, width))
        end = names.index("tok/s") + 5
        assert cells[end - 1].isdigit()
        assert cells[end] == " "
        end = names.index("TTFT") + 4
        assert cells[:end].endswith(("ms", " s"))
        assert columns_of(width).text > 0


def test_active_requests_come_first_then_the_newest(half_way):
    states = [request.active for request in chosen(half_way, Choices())]
    assert states == sorted(states, reverse=True)
    assert states[0]


@pytest.mark.parametrize("order", ["id", "state", "progress", "tok/s", "TTFT", "queue"])
def test_every_order_sorts_all_and_turns_round(order, half_way):
    everything = {request.id for request in chosen(half_way, Choices())}
    up = [request.id for request in chosen(half_way, Choices(order=order))]
    down = [request.id for request in chosen(half_way, Choices(order=order, reverse=True))]
    assert set(up) == set(down) == everything
    assert up != down or order == "queue"


def test_a_filter_looks_at_state_id_text_and_error(half_way):
    failed = chosen(half_way, Choices(query="FAIL"))
    assert failed
    assert all("fail" in f"{r.state} {r.error} {r.text}".lower() for r in failed)
    assert chosen(half_way, Choices(query="no such words")) == []


def test_a_filter_looks_at_the_state_that_is_shown(half_way):
    warm = chosen(half_way, Choices(query="warm-up"))
    assert warm and all(request.warmup for request in warm)
    assert not any(request.warmup for request in chosen(half_way, Choices(query="done")))


def test_a_filtered_table_tells_of_how_many_it_shows(half_way):
    everything = chosen(half_way, Choices())
    frame = framed_session(half_way, choices=Choices(query="warm"))
    assert f"2 of {len(everything)} shown" in plain(join(content(frame, 2, 118, 9).corner))


@pytest.mark.parametrize("width", range(31, 130))
def test_no_figure_of_a_row_is_cut(width, half_way):
    request = next(r for r in half_way.requests.values() if r.state == "done")
    line = row(request, width)
    assert line_width(line) <= width
    told = plain(line)
    rest = told.split(f"{request.tokens}/{request.max_tokens}")[1].split()
    figures = [rate(decode_rate(request)), *span(ttft(request)).split()]
    shown = rest[: 3 if width >= 48 else 1 if width >= 39 else 0]
    assert shown == figures[: len(shown)]
    assert bool(rest) == (width >= 39)


@pytest.mark.parametrize("width", range(40, 130))
def test_rows_beside_their_scroll_bar_have_the_columns_of_the_heading(width, half_way):
    frame = framed_session(half_way)
    request = next(r for r in half_way.requests.values() if r.state == "done")
    names = plain(content(frame, 1, width, 9).lines[0]).split()
    told = plain(row(request, width - 1))
    assert ("tok/s" in names) == (rate(decode_rate(request)) in told.split())
    assert ("queue" in names) == (f"{span(queue_time(request)):>9}" in told)


def test_a_text_that_goes_on_ends_with_an_ellipsis():
    request = one_with_tokens()
    request.ended, request.text = 5, "\n\n\n" + "words " * 60
    assert plain(row(request, 118)).rstrip().endswith("…")


def test_a_row_that_misses_its_target_is_a_warning(half_way):
    request = next(r for r in half_way.requests.values() if r.state == "done" and not r.warmup)
    warm = next(r for r in half_way.requests.values() if r.warmup)
    late = {text.strip() for text, role in row(request, 118, {"ttft": 1e-6}) if role == "warn"}
    assert late == {span(ttft(request))}
    late = {text.strip() for text, role in row(request, 118, {"tpot": 1e-6}) if role == "warn"}
    assert late == {rate(decode_rate(request))}
    for line in (row(request, 118, {"ttft": 99.0}), row(warm, 118, {"ttft": 1e-6})):
        assert "warn" not in {role for _, role in line}


def one_with_tokens() -> Request:
    """A request in flight with three tokens and no text."""
    tokens = [TokensEmitted(t * SECOND, 0, 1) for t in (1, 2, 3)]
    return fold([LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 8), *tokens]).requests[0]


def test_text_that_was_not_kept_is_told():
    tokens = [TokensEmitted(t * SECOND, 0, 1) for t in (1, 2, 3)]
    session = fold([LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 8), *tokens])
    replayed, live = (
        framed_session(session, playback=playback)
        for playback in (Playback(False, 1.0, 0, 10 * SECOND), None)
    )
    assert "text not recorded" in plain(content(replayed, 1, 118, 5).lines[0])
    assert "text not recorded" not in plain(content(live, 1, 118, 5).lines[0])
    session.requests[0].text = "words"
    assert "text not recorded" not in plain(content(replayed, 1, 118, 5).lines[0])


def test_a_row_of_wide_characters_keeps_its_width():
    request = one_with_tokens()
    request.text = "日本語のテキスト" * 30
    for width in (80, 81, 117, 118):
        assert line_width(row(request, width)) <= width
    request.ended = 5
    for width in (80, 81, 117, 118):
        assert line_width(row(request, width)) <= width


# One request


@pytest.mark.parametrize("width", WIDTHS[1:])
@pytest.mark.parametrize("height", HEIGHTS[1:])
def test_a_request_s_page_fits_into_any_size(width, height, half_way):
    frame = framed_session(half_way)
    for id in (*list(half_way.requests)[:3], *half_way.active, 99_999):
        lines = request_page(frame, id, width, height)
        assert len(lines) <= height
        assert all(line_width(line) == width for line in lines)


def test_a_low_timeline_still_shows_the_run_s_throughput_and_its_phases():
    request = one_with_tokens()
    session = fold([LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 8), Tick(4 * SECOND)])
    session.requests[0] = request
    page = text_of(request_page(framed_session(session), 0, 60, 14))
    assert "tok/s, all requests" in page
    assert "▒ prefill" in page and "━ decode" in page


def test_a_request_s_page_says_which_turn_it_is():
    turns = [RequestQueued(0, id, 0, 8, 8, False, 0, id + 1) for id in range(2)]
    session = fold([LevelStarted(0, 0, 1, 1), *turns, Tick(4 * SECOND)])
    assert "turn 2" in text_of(request_page(framed_session(session), 1, 100, 14))
    session.requests[1].turn = None
    assert "turn" not in text_of(request_page(framed_session(session), 1, 100, 14))


def test_the_slowest_gaps_are_found():
    fine = [TokensEmitted(t * SECOND, 0, 1) for t in (1, 2, 3, 7, 8)]
    session = fold([LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 5), *fine])
    assert slowest(session.requests[0], 2) == [(4.0, 4, 7 * SECOND), (1.0, 2, 2 * SECOND)]


def test_a_gap_before_several_tokens_is_shared_by_them():
    some = [TokensEmitted(SECOND, 0, 1), TokensEmitted(3 * SECOND, 0, 4)]
    session = fold([LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 5), *some])
    request = session.requests[0]
    assert slowest(request, 1) == [(0.5, 5, 3 * SECOND)]
    assert max(gaps(request)) == 0.5


def words_of(session: Session, height: int = 24, replayed: bool = True) -> str:
    """The page of request 0."""
    frame = Frame(session, Figures(), playback=playback(9) if replayed else None)
    frame.figures.look(session)
    return "\n".join(plain(line) for line in request_page(frame, 0, 100, height))


FAILED = [
    LevelStarted(0, 0, 1, 1),
    RequestQueued(0, 0, 0, 8, 5),
    TokensEmitted(SECOND, 0, 1, "once upon"),
    RequestFailed(2 * SECOND, 0, "out of luck"),
]


def test_a_failed_request_shows_why_and_its_text():
    page = words_of(fold(FAILED))
    assert "out of luck" in page and "once upon" in page
    untold = [TokensEmitted(SECOND, 0, 1) if isinstance(e, TokensEmitted) else e for e in FAILED]
    page = words_of(fold(untold))
    assert "out of luck" in page and "text not recorded" in page


def test_what_an_ended_request_lacks_will_not_come():
    page = words_of(fold([e for e in FAILED if not isinstance(e, TokensEmitted)]))
    assert "no two tokens" in page and "no text" in page and " yet" not in page
    page = words_of(fold(FAILED[:2]))
    assert "no two tokens yet" in page and "no text yet" in page


def test_a_request_that_is_not_there_is_told_of():
    assert "request 0 is not queued yet" in words_of(Session())
    assert "request 0 is no longer kept" in words_of(Session(), replayed=False)


def test_a_timeline_has_its_phases():
    session = fold(
        [
            *(LevelStarted(0, 0, 1, 1), RequestQueued(0, 0, 0, 8, 3)),
            *(RequestAdmitted(SECOND, 0, 0), TokensEmitted(2 * SECOND, 0, 1)),
            *(TokensEmitted(4 * SECOND, 0, 1), Tick(4 * SECOND)),
        ]
    )
    lines = request_page(framed_session(session), 0, 42, 20)
    phases = plain(lines[2])
    assert phases == "│" + "░" * 10 + "▒" * 10 + "━" * 20 + "│"


# Transport and footer


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"failed": f"the engine was killed by SIGKILL in level 1 of 3{' and more' * 9}"},
         "✗ killed by SIGKILL in level 1 of 3…  f goes there"),
        ({"failed": "the engine was killed by x"}, "✗ the engine was killed by x  f goes there"),
        ({"answer": "171 at once work, 172 do not"},
         "▽ 171 at once work, 172 do not  f goes there"),
    ],
)  # fmt: skip
def test_a_replay_opens_with_what_came_of_the_run(known: dict[str, str], told: str) -> None:
    frame = framed_session(fold([]), playback=Playback(True, 1.0, 0, 9 * SECOND, **known))
    assert told in plain(header(frame, 80, 2)[0])


def playback(position: float) -> Playback:
    marks = ((5 * SECOND, "level"), (9 * SECOND, "failure"))
    return Playback(True, 0.25, int(position * SECOND), 10 * SECOND, marks)


def test_paused_the_bar_tells_milliseconds_and_does_not_move():
    playing = playback(7.3456)
    paused = msgspec.structs.replace(playing, playing=False)
    assert "0:07.3  " in plain(transport(playing, 80))
    assert "0:07.345 " in plain(transport(paused, 80))
    assert track(playing, 80) == track(paused, 80)


def test_a_long_note_is_shortened_before_it_is_left_out():
    noted = msgspec.structs.replace(playback(7), note="gap 2: 56.9 ms, request 129")
    assert "gap 2: 56.9 ms, request 129" in plain(transport(noted, 120))
    assert "gap 2: 56.9 ms  " in plain(transport(noted, 80))
    assert "gap" not in plain(transport(noted, 40))


def test_the_transport_bar_fits_and_shows_marks():
    for width in (1, 10, 30, 80, 200):
        line = transport(playback(3), width)
        assert line_width(line) == width or width < 30
    told = plain(transport(playback(3), 80))
    assert told.startswith(f" ▶   ¼{TIMES}  0:03.0")
    assert "╋" in told
    assert "┃" in told
    assert told.rstrip().endswith("0:10.0")


def test_a_click_means_the_time_under_it():
    knob = plain(transport(playback(3), 80)).index("●")
    assert time_at(playback(3), knob, 80) == pytest.approx(3 * SECOND, abs=0.1 * SECOND)
    assert time_at(playback(3), 0, 80) is None
    assert time_at(playback(3), 79, 80) is None


def test_the_footer_shows_what_works_now(half_way):
    live = footer(framed_session(half_way), keys_of(framed_session(half_way), True), 160)[0]
    assert "concurrency" in plain(live)
    assert "seek" not in plain(live)
    played = framed_session(half_way, playback=playback(3))
    assert "seek" in plain(footer(played, keys_of(played, False), 160)[0])


def test_when_a_run_is_over_the_footer_leads_to_another_model(run_events, half_way):
    over = framed_session(fold(run_events))
    assert plain(footer(over, keys_of(over, True), 80)[0]).startswith(" q quit  ? help  m model  ")
    for frame in (framed_session(half_way), framed_session(fold(run_events), playback=playback(3))):
        assert " m model" not in plain(footer(frame, keys_of(frame, False), 60)[0])


def test_the_footer_can_be_clicked_where_its_words_are(half_way):
    frame = framed_session(half_way, cost="1.0 ms   2 % cpu")
    line, hits = footer(frame, keys_of(frame, True), 100)
    assert line_width(line) == 100
    told = plain(line)
    assert told.endswith("2 % cpu ")
    assert not [told for key in ("enter", "/", "o") if f" {key} " in told], (
        "they stand in the border"
    )
    assert [told[hit.start : hit.end] for hit in hits][:2] == ["q quit", "? help"]


def test_on_a_narrow_screen_keys_come_before_the_cost(half_way):
    frame = framed_session(half_way, cost=" 1.0 ms   2 % cpu   0 behind")
    told = {width: plain(footer(frame, keys_of(frame, True), width)[0]) for width in (40, 80, 120)}
    assert told[120].endswith("  1.0 ms   2 % cpu   0 behind ")
    assert told[80].endswith("  tab panel        2 % cpu ")
    assert told[40].startswith(" q quit  ? help ") and told[40].endswith("  2 % cpu ")
    late = msgspec.structs.replace(frame, cost=" 1.0 ms   2 % cpu 900 behind, 2.5 s late")
    assert "2.5 s late" in plain(footer(late, keys_of(late, True), 80)[0])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_alone_says_how_all_come_back(panel, half_way):
    choices = Choices(maximised=panel, focus=panel)
    frame = framed_session(half_way, choices=choices)
    assert plain(footer(frame, keys_of(frame, True), 80)[0]).count(" restore ") == 1


def test_what_misses_its_target_is_a_warning(run_events):
    session = fold(run_events)
    config = msgspec.structs.replace(session.started.config, slo={"ttft": 0.001, "tpot": 9.0})
    session.started = msgspec.structs.replace(session.started, config=config)
    content = latency(framed_session(session), 60, 8)
    roles = {plain(line).split()[0]: {role for _, role in line} for line in content.lines[1:6]}
    assert "warn" in roles["TTFT"]
    assert "warn" not in roles["TPOT"]
    assert plain(content.corner[0]).startswith("0 % meet the targets")
    narrow = framed(2, "Latency", latency(framed_session(session), 36, 8), 38, 10)
    assert "0 % met  21 done" in plain(narrow[0])


# What a run may take, and what takes from it

PARTS = {
    "weights": 16_060_000_000,
    "kv cache": 4_430_000_000,
    "logits": 0,
    "context": 1_310_000_000,
}


def test_each_rank_has_a_row_or_all_have_one():
    told = [
        HostSampled(SECOND, 1, 1, 16_000_000_000, (50.0,) * 2, 900_000_000, 99.0),
        RankSampled(SECOND, 0, "cuda:0", 430_000_000),
        RankSampled(SECOND, 1, "cuda:1", 470_000_000),
    ]
    text = text_of(memory(framed_session(fold(told)), 118, 12).lines)
    assert "rank 0      430 MB   cuda:0" in text and "rank 1      470 MB   cuda:1" in text
    text = text_of(memory(framed_session(fold(told)), 40, 3).lines)
    assert "2 ranks     470 MB   the largest" in text and "rank 0" not in text


@pytest.mark.parametrize("cores", [1, 2, 6])
def test_the_first_numbers_of_the_memory_panel_end_in_one_column(cores):
    told = on_a_gpu()
    told[4] = HostSampled(SECOND, 1, 1, 16_000_000_000, (50.0,) * cores, 2_000_000_000, 99.0)
    rows = memory(framed_session(fold(told)), 118, 14).lines[:4]
    starts = [plain(row)[:19].rstrip("█▄") for row in rows]
    assert [start.split()[0] for start in starts] == ["engine", "gpu", "cpu", "predicted"]
    assert [start[-1] for start in starts] == ["B", "B", "%", "B"]


def test_each_part_of_a_prediction_has_its_own_block_whatever_stands_beside_it():
    parts = dict.fromkeys(["weights", "kv cache", "activations", "allocator", "runtime"], 1 << 30)
    whole = [span for span in legend(parts, 200) if span[1].startswith("memory")]
    assert len({block for block, _ in whole}) == len(parts)
    del parts["kv cache"]
    assert whole[:1] + whole[2:] == [s for s in legend(parts, 200) if s[1].startswith("memory")]


def on_a_gpu(**changes: object) -> list[object]:
    """A model on a GPU whose peak was predicted."""
    sample = DeviceSampled(SECOND, 0, "a GPU", 20_000_000_000, 80_000_000_000, 90.0, 312.0, 54.0)
    return [
        started(),
        loaded(device="cuda:0", device_name="a GPU"),
        MemoryPredicted(SECOND, 0, None, 20_490_000_000, PARTS),
        LevelStarted(SECOND, 0, 8, 8),
        HostSampled(SECOND, 1, 1, 16_000_000_000, (50.0, 100.0), 2_000_000_000, 99.0),
        msgspec.structs.replace(sample, **changes),
        Tick(2 * SECOND),
    ]


@pytest.mark.parametrize("size", [(70, 6), (118, 12), (118, 30)])
def test_the_predicted_peak_crosses_the_history_of_the_device(size):
    lines = memory(framed_session(fold(on_a_gpu())), *size).lines
    assert "╌" in text_of(lines)
    assert "╌" not in text_of(memory(framed_session(fold(on_a_gpu()[:2])), *size).lines)


def test_the_prediction_is_told_where_its_model_runs():
    content = memory(framed_session(fold(on_a_gpu())), 110, 6)
    assert "predicted" not in text_of(content.lines)
    (corner,) = content.corner
    assert plain(corner).startswith("predicted 21.8 GB  █")
    assert "weights" in plain(corner)
    elsewhere = [e for e in on_a_gpu() if not isinstance(e, ModelLoaded)]
    elsewhere.insert(1, loaded(device="cuda:1", device_name="another"))
    told = text_of(memory(framed_session(fold(elsewhere)), 110, 6).lines)
    assert "╌" not in told, "another device's prediction crosses no history"


def test_the_prediction_is_itemised_where_there_is_room():
    told = [plain(line) for line in memory(framed_session(fold(on_a_gpu())), 118, 14).lines]
    bar = next(line for line in told if line.startswith(" predicted"))
    assert "weights 16.1 GB" in bar
    assert "kv cache" in bar
    legend = told[told.index(bar) + 1]
    assert legend.split("   ")[0] == " █ weights 16.1 GB"
    assert "context 1.31 GB" in legend
    assert "logits" not in bar + legend
    tight = memory(framed_session(fold(on_a_gpu())), 38, 3)
    assert "weights" not in text_of(tight.lines)
    assert [plain(group) for group in tight.corner] == ["predicted 21.8 GB"]


@given(
    st.dictionaries(st.text(max_size=12), st.integers(0, 10**12), max_size=8),
    st.integers(1, 200),
)
def test_a_bar_of_parts_has_its_width(parts, width):
    if any(parts.values()):
        assert line_width(pieces(parts, width)) == width
        assert line_width(bar_line("predicted", parts, width)) <= max(width, 20)
        assert line_width(legend(parts, width)) <= max(width, 1)


def test_a_device_that_slows_down_says_why():
    slow = on_a_gpu(throttle=("sw_power_cap", "hw_thermal_slowdown", "sw_thermal_slowdown"))
    lines = memory(framed_session(fold(slow)), 110, 8).lines
    warned = [text for line in lines for text, role in line if role == "warn"]
    assert warned == ["▲ heat +1"]
    for free in ((), None):
        lines = memory(framed_session(fold(on_a_gpu(throttle=free))), 110, 8).lines
        assert not [text for line in lines for text, role in line if role == "warn"]


def eight_gpus() -> Session:
    told = [started(), loaded(device="cuda:3", device_name="a GPU"), *on_a_gpu()[2:5]]
    for device in range(8):
        used = (20 + device) * 1_000_000_000
        told.append(DeviceSampled(SECOND, device, "a GPU", used, 80_000_000_000, 90.0, 300.0, 50.0))
    hot = DeviceSampled(SECOND, 3, "a GPU", 23_000_000_000, 80_000_000_000, 10.0, 300.0, 91.0)
    told.append(msgspec.structs.replace(hot, throttle=("hw_thermal_slowdown",)))
    return fold([*told, Tick(2 * SECOND)])


@pytest.mark.parametrize("size", [(70, 6), (118, 6)])
def test_many_accelerators_share_a_row_where_there_is_little_room(size):
    rows = [plain(line) for line in memory(framed_session(eight_gpus()), *size).lines]
    assert rows[1].startswith(" 8 gpus      188 GB of 640 GB  29 %   util  80 % 2400 W  91 °C")
    assert "▲ 1 slowed down" in rows[1] or size[0] < 80
    assert "gpu 3" in "".join(rows[3:]), "the chart is of the one on which the model runs"


def test_each_accelerator_has_its_row_where_there_is_room():
    content = memory(framed_session(eight_gpus()), 118, 13)
    rows = [plain(line) for line in content.lines]
    assert [row[:6] for row in rows[1:9]] == [f" gpu {device}" for device in range(8)]
    assert plain(content.corner[0]).startswith("gpu 3 predicted")
    assert "▲ heat" in rows[4]


@pytest.mark.parametrize(
    ("charted", "row", "label"),
    [(0, " 8 gpus", "engine"), (1, " 8 gpus", "machine"), (2, " gpu 0", "gpu 0 used")],
)
def test_the_history_of_any_memory_is_drawn(charted, row, label):
    frame = framed_session(eight_gpus(), choices=Choices(charted=charted))
    rows = [plain(line) for line in memory(frame, 70, 6).lines]
    assert rows[1].startswith(row)
    assert f"{label}  " in "".join(rows[2:])


def test_going_through_the_memories_ends_at_either_side():
    frame = framed_session(eight_gpus())
    names = [one.name for one in charted_of(frame.session)]
    assert names == ["engine", "machine", *(f"gpu {device} used" for device in range(8))]
    turned(frame, 1_000_000)
    assert frame.choices.charted == len(names) - 1
    turned(frame, -1)
    assert frame.choices.charted == len(names) - 2
    turned(frame, -1_000_000)
    assert frame.choices.charted is None


def test_a_figure_that_was_chosen_has_the_panel_or_the_histogram(half_way):
    suits = text_of(latency(framed_session(half_way), 60, 12).lines)
    assert "ITL, " in suits
    chosen = framed_session(half_way, choices=Choices(figure=3))
    tall = text_of(latency(chosen, 60, 12).lines)
    assert "▸E2E" in tall
    assert "E2E, " in tall
    assert " TTFT" in tall
    small = text_of(latency(chosen, 60, 7).lines)
    assert "E2E, " in small
    assert " TTFT" not in small


@pytest.mark.parametrize("width", [70, 80, 120, 200])
def test_the_header_warns_of_a_hot_device_and_not_of_its_power_cap(width):
    line = header(framed_session(eight_gpus()), width, 2)[1]
    (warned,) = [text for text, role in line if role == "warn"]
    assert "gpu 3" in warned
    assert "heat" in warned
    capped = fold(on_a_gpu(throttle=("sw_power_cap",)))
    assert "slow" not in plain(header(framed_session(capped), width, 2)[1])


def test_what_one_accelerator_does_not_tell_is_no_sum():
    session = eight_gpus()
    session.apply(DeviceSampled(2 * SECOND, 5, "lost"))
    assert plain(memory(framed_session(session), 70, 6).lines[1]).startswith(" 8 gpus         N/A ")


def crowded() -> Session:
    busy = [
        HostSampled(t * SECOND // 2, 1, 1, 16_000_000_000, (100.0, 90.0), 1, 100.0, 4.0)
        for t in range(3, 60)
    ]
    return fold([started(), loaded(), LevelStarted(SECOND, 0, 4, None), *busy])


@pytest.mark.parametrize("width", [70, 80, 120, 200])
def test_the_header_warns_of_busy_neighbours(width):
    session = crowded()
    line = header(framed_session(session), width, 2)[1]
    (warned,) = [text for text, role in line if role == "warn"]
    assert "others" in warned or "other processes" in warned
    assert "86 %" in warned
    assert plain(line).rstrip().endswith("0 in flight")
    session.apply(RunEnded(90 * SECOND, "stopped"))
    assert "others" not in plain(header(framed_session(session), width, 2)[1])


def test_the_memory_panel_tells_what_others_take():
    assert "others    86 %" in text_of(memory(framed_session(crowded()), 118, 12).lines)


# How near a run comes to the machine


def shares_told(*facts: object, width: int = 160) -> str:
    session = fold(
        [started(), loaded(), *facts, LevelStarted(SECOND, 0, 4, None), Tick(3 * SECOND)]
    )
    return plain(throughput(framed_session(session), width, 8).lines[0])


def test_what_is_not_known_yet_is_no_unknown():
    traced = ModelTraced(
        time=1,
        parameters=1,
        active_parameters=1,
        read_bytes=1,
        expert_bytes=0,
        experts=0,
        experts_per_token=0,
        attention_width=1,
        caches=(),
        kv_bytes_per_token=1,
    )
    measured = MachineMeasured(1, "cpu", "bfloat16", 1e9, 1e9)
    assert f"MBU     {NOTHING}   MFU     {NOTHING}" in shares_told(traced, measured)
    assert "MBU   N/A   MFU   N/A   (the roofs are not measured" in shares_told(traced)
    assert "MBU   N/A   MFU   N/A   (what a step reads is not known" in shares_told(measured)
    assert "MBU" not in shares_told(loaded(device="none", engine="scripted"))


@pytest.mark.parametrize("width", [36, 70, 118])
def test_the_chart_of_throughput_has_its_unit_where_the_levels_keep_their_names(half_way, width):
    top = plain(throughput(framed_session(half_way), width, 8).lines[1])
    assert (" tok/s" in top) == (width > 52)
    assert TIMES in top


# Names of levels


@given(st.lists(st.integers(0, 90), max_size=12, unique=True), st.integers(0, 8))
def test_names_of_levels_never_run_together(columns, taken):
    marks = [(column, f"{TIMES}{i * 50}") for i, column in enumerate(sorted(columns))]
    blank = [((" " * 91, "text"),)] * 3
    top = plain(with_marks(blank, marks, 91, taken)[0])
    assert len(top) == 91
    assert top[:taken].strip() == ""
    known = {f"╷{name}" for _, name in marks} | {f"{name}╷" for _, name in marks} | {"╷"}
    for word in top.split():
        assert (
            word in known
            or set(word) == {"╷"}
            or word.lstrip("╷") in known | {name for _, name in marks}
        )


def test_a_signal_is_named_once():
    assert loss_of(EngineLost(1, -9, "killed by SIGKILL")) == "killed by SIGKILL"
    assert loss_of(EngineLost(1, -9, "it broke")) == "it broke (SIGKILL)"


def test_the_header_states_where_memory_ended():
    config = msgspec.structs.replace(started().config, until_oom=True)
    session = fold(
        [
            msgspec.structs.replace(started(), config=config),
            *(loaded(), LevelStarted(2, 0, 4, 4), LevelEnded(3, 0, "ok")),
            *(
                LevelStarted(4, 1, 8, 8),
                LevelEnded(5, 1, "oom"),
                EngineLost(5, -9, "out of memory"),
            ),
        ]
    )
    assert state_of(session).role != "bad", "another engine is on its way"
    session.apply(RunEnded(6, "oom"))
    line = header(framed_session(session), 80, 2)[1]
    assert plain(line).strip().startswith("✓ finished  4 at once work, 8 do not")
    assert not [role for _, role in line if role.startswith("bad")]


@pytest.mark.parametrize("width", range(36, 130))
def test_what_is_in_flight_never_touches_what_stands_before_it(width):
    crowd = [RequestQueued(1, i, 0, 8, 8) for i in range(256)]
    admitted = [RequestAdmitted(2, i, 0) for i in range(256)]
    session = fold([started(), loaded(), LevelStarted(SECOND, 0, 256, None), *crowd, *admitted])
    session.levels[0].failed = 1
    line = plain(header(framed_session(session), width, 2)[1])
    assert line.endswith("  256 in flight ")


@pytest.mark.parametrize("width", [80, 120])
def test_the_header_counts_what_failed(width, run_events):
    line = header(framed_session(fold(run_events)), width, 2)[1]
    assert "21/24 requests  3 failed" in plain(line)
    assert ("  3 failed", "bad") in line
    assert line_width(line) == width
    fine = fold(until(run_events, 3))
    assert "failed" not in plain(header(framed_session(fine), width, 2)[1])


@pytest.mark.parametrize("planned", [None, 8])
def test_the_header_tells_done_cancelled_and_failed_apart_also_when_forgotten(planned):
    events: list[Event] = [started(), loaded(), LevelStarted(SECOND, 0, 8, planned)]
    for id in range(6):
        events += [RequestQueued(id + 2, id, 0, 8, 8), RequestAdmitted(id + 2, id, 0)]
    events += [RequestCancelled(20, 0), RequestCancelled(21, 1), RequestFailed(22, 2, "lost")]
    events += [TokensEmitted(23, 3, 8, None), RequestFinished(24, 3, "length")]
    session = Session(keep=2)
    for event in events:
        session.apply(event)
    assert session.levels[0].forgotten == 4
    line = header(framed_session(session), 120, 2)[1]
    share, words = progress_of(session)
    assert words == ("1/8 requests" if planned else "1 request done")
    assert share == (4 / 8 if planned else None), "what has ended moves the bar"
    assert f"{words}  1 failed  2 cancelled" in plain(line)
    assert ("  2 cancelled", "dim") in line


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ([EngineLost(5 * SECOND, -6, "it broke")], "engine lost: it broke (SIGABRT)"),
        ([RunEnded(5 * SECOND, "stopped")], "the run ended before the model was loaded"),
    ],
)
def test_a_load_that_came_to_nothing_does_not_go_on(ends, words):
    told = text_of(throughput(framed_session(fold([*loading_events(), *ends])), 70, 8).lines)
    assert words in told
    assert "left" not in told
    assert "━" not in told


def changed_by_hand(completed: int) -> Session:
    """A level of 4 with completions, then one of 6 in which so many have completed."""
    events = [started(), loaded(), LevelStarted(SECOND, 0, 4, None)]
    for id in range(8):
        level, begin = (0, 2) if id < 4 else (1, 7)
        events += [
            RequestQueued(begin * SECOND, id, level, 8, 8),
            RequestAdmitted(begin * SECOND, id, level),
        ]
        events += [TokensEmitted((begin + 1 + token) * SECOND, id, 1, None) for token in range(2)]
        if id < 4 + completed:
            events.append(RequestFinished((begin + 3) * SECOND, id, "length"))
        if id == 3:
            events.append(LevelEnded(6 * SECOND, 0, "ok", ended_by="concurrency"))
            events.append(LevelStarted(6 * SECOND, 1, 6, None))
    return fold(events)


@pytest.mark.parametrize("width", [36, 46, 60, 80])
@pytest.mark.parametrize("completed", [0, 2])
def test_after_a_change_by_hand_the_latencies_before_stand_beside_the_new(
    completed: int, width: int
) -> None:
    frame = framed_session(changed_by_hand(completed))
    lines = latency(frame, width, 9).lines
    head, ttft_row = plain(lines[0]), plain(lines[1])
    assert head.split() == ["p50", "p90", "p99", f"{TIMES}4", "p50"]
    assert ttft_row.split()[:7] == ["TTFT", "1.00", "1.00", "1.00", "s", "1.00", "s"]
    assert all(line_width(line) <= width for line in lines)
    words = progress_of(frame.session)[1]
    assert words == (
        f"{completed} requests done" if completed else f"0 requests done, 4 at {TIMES}4"
    )


def test_levels_of_a_plan_stand_for_themselves(half_way: Session) -> None:
    assert plain(latency(framed_session(half_way), 80, 9).lines[0]).split() == ["p50", "p90", "p99"]
