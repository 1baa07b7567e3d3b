"""The server's view beside ours, on what real servers said, at every size."""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace

from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import AlertChanged, Event, ReplicaSampled, ServerStood, TokensCounted
from llamatop.figures.binding import Bound
from llamatop.figures.own_memory import own_parts
from llamatop.reports.origins import server_origins
from llamatop.run.replay import fold
from llamatop.text.formatting import UNKNOWN
from llamatop.tui.attach.panels import below
from llamatop.tui.attach.state import Row
from llamatop.tui.drawing.lines import line_width
from llamatop.tui.monitor.views.events import events as events_view
from llamatop.tui.monitor.views.memory import memory
from llamatop.tui.monitor.views.origins import origin_lines
from llamatop.tui.monitor.views.watched import binding_line, origins_of, watched
from llamatop.watch.server import WatchedServer
from tests.served import TWO, served, served_events
from tests.tui.conftest import live_app, replay_app, screen_text
from tests.tui.monitor.marking import marks_of
from tests.tui.monitor.test_servers import HEIGHTS, WIDTHS, frame_of, text_of
from tests.watch.pages import serving

PAID = served(cost_per_hour=2.0)


@pytest.fixture(scope="module")
def looks() -> list[Event]:
    """Twenty seconds of a llama.cpp that said the same all the time."""
    clock, told = ManualClock(), []
    with serving() as pages:
        pages.say("/v1/models", "llamacpp-b11434.v1-models.http")
        pages.say("/props", "llamacpp-b11434.props.http")
        pages.say("/metrics", "llamacpp-b11434.metrics-load.http")
        pages.say("/slots", "llamacpp-b11434.slots-load.http")
        server = WatchedServer(0, pages.url, clock)
        for second in range(1, 21):
            clock.time = second * SECOND
            told += server.look()
    return told


def both(looks: list[Event], config=PAID, *more: Event) -> list[Event]:
    events = [
        replace(event, prefill=0.004) if isinstance(event, TokensCounted) else event
        for event in served_events(config)
    ]
    return sorted([*events, *looks, *more], key=lambda event: event.time)


def at_place(looks: list[Event], place: int) -> list[Event]:
    return [replace(event, server=place) for event in looks]


def test_it_says_what_the_server_does_and_where_the_first_token_went(looks):
    content = watched(frame_of(both(looks), 20.5), 110, 14)
    now, binds, first, *rest = text_of(content.lines).splitlines()
    assert content.title == "The server's view"
    assert now.startswith(" ●") and "4 running" in now and "waiting" in now and "KV" in now
    assert "slots are taken" in binds or "decode" in binds
    assert first.startswith(" TTFT ") and "queue 2.00 ms" in first and "prefill 4.00 ms" in first
    assert any("decode" in line and "177" in line for line in rest), "a row a slot"
    assert any("its tok/s" in line for line in rest)


def test_once_it_is_over_the_level_is_told_and_no_state_of_now(looks):
    text = text_of(watched(frame_of(both(looks), 99), 110, 14).lines)
    assert "4.00 running" in text and "at most" in text and "TTFT" in text
    assert "slots are taken" not in text and "decode " not in text


def test_where_there_is_little_room_the_largest_parts_stay(looks):
    frame = frame_of(both(looks), 20.5)
    first = text_of(watched(frame, 40, 3).lines).splitlines()[2]
    assert first.startswith(" TTFT ") and "rest" in first and "sent late" not in first


@pytest.mark.parametrize("seconds", [0.5, 3, 20.5, 99])
def test_it_fits_whatever_the_size(looks, seconds):
    away = ServerStood(15 * SECOND, 1, "down", "nothing listens there")
    two = [*looks, *at_place(looks[:14], 1), away]
    for events in (both(looks), both(two, served(urls=TWO))):
        frame = frame_of(events, seconds)
        for width in WIDTHS:
            for height in HEIGHTS:
                content = watched(frame, width, height)
                assert len(content.lines) <= height
                assert all(line_width(line) <= width for line in content.lines), (width, height)


def test_of_what_would_help_as_much_is_told_as_fits_whole(looks):
    found = Bound("kv", "KV cache 97 % full", "a larger cache, fewer slots")
    session = fold(both(looks))
    told = {
        width: text_of([binding_line(session, {0: found}, width)]).rstrip()
        for width in (60, 40, 30)
    }
    assert told[60] == " KV cache 97 % full  → a larger cache, fewer slots"
    assert told[40] == " KV cache 97 % full  → a larger cache"
    assert told[30] == " KV cache 97 % full"


def test_of_several_the_one_that_is_down_is_named(looks):
    away = ServerStood(15 * SECOND, 1, "down", "nothing listens there")
    two = [*looks, *at_place(looks[:14], 1), away]
    text = text_of(watched(frame_of(both(two, served(urls=TWO)), 20.5), 100, 12).lines)
    assert "1 of 2 answer" in text
    assert "two.example:8443: down: nothing listens there" in text
    assert "● one.example:8000" in text and "✕ two.example:8443" in text


def test_what_cannot_tell_says_why(looks):
    stood = ServerStood(SECOND, 0, "no metrics", "it has none")
    text = text_of(watched(frame_of(both([stood]), 20.5), 100, 12).lines)
    assert "○ no metrics" in text and "it has none" in text
    assert "running" not in text, "what it does not tell is not shown as 0"
    assert "TTFT" in text, "the client's own view needs no metrics"


def test_limits_restarts_and_servers_lost_and_found_are_marked_and_told(looks):
    def made(second, tokens):
        counters = {"llamacpp:tokens_predicted": tokens}
        return ReplicaSampled(second * SECOND, server=0, replica="0", counters=counters)

    more = [
        AlertChanged(4 * SECOND, 0, "0", "waiting>2", True, 4.0),
        AlertChanged(5 * SECOND, 0, "0", "waiting>2", False),
        ServerStood(6 * SECOND, 0, "down", "nothing listens there"),
        ServerStood(8 * SECOND, 0, "up"),
        made(9, 500.0),
        made(10, 3.0),
    ]
    events = both([], PAID, *more)
    of_servers = [mark for mark in marks_of(events) if mark[1] != "level"]
    assert of_servers == [
        (4 * SECOND, "alert"),
        (6 * SECOND, "failure"),
        (8 * SECOND, "found"),
        (10 * SECOND, "restart"),
    ]
    told = text_of(events_view(frame_of(events, 11), 100, 14).lines)
    assert "▲ 127.0.0.1:8080: waiting>2" in told and "kept again" in told
    assert "127.0.0.1:8080 down: nothing listens there" in told and "began again" in told


async def test_the_screen_makes_room_rings_once_and_has_its_key(looks):
    broken = AlertChanged(9 * SECOND, 0, "0", "waiting>2", True, 4.0)
    app = live_app([e for e in both(looks, PAID, broken) if e.time <= 18.9 * SECOND])
    rung: list[int] = []
    app.bell = lambda: rung.append(1)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        for _ in range(3):
            app.draw()
        assert rung == [1]
        text = "\n".join(screen_text(app))
        assert "⁶The server's view" in text and "▲ waiting>2" in text
        await pilot.press("6")
        await pilot.pause()
        alone = "\n".join(screen_text(app))
        assert "⁶The server's view" in alone and "¹Throughput" not in alone


@pytest.mark.parametrize("made", [live_app, partial(replay_app, seconds=18.9)])
async def test_every_value_tells_where_it_comes_from_small_and_alone(looks, made):
    app = made([e for e in both(looks) if e.time <= 18.9 * SECOND])
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.pause()

        async def pressed(*keys: str) -> str:
            await pilot.press(*keys)
            await pilot.pause()
            return "\n".join(screen_text(app))

        small = await pressed("v")
        assert "⁶The server's values" in small and "¹Throughput" in small
        assert "llamacpp:requests_processing" in small and "told" in small and "ago" in small
        assert "more rows" in small
        assert "llama.cpp tells no histogram of it" in await pressed("G")
        alone = await pressed("6")
        assert "llamacpp:requests_processing" in alone and "¹Throughput" not in alone
        assert "llama.cpp tells no metric of it" in alone
        again = await pressed("escape")
        assert "⁶The server's view" in again and "llamacpp:requests" not in again
        await pilot.resize_terminal(80, 24)
        low = await pressed("escape", "v")
        assert "llamacpp:requests_processing" in low, "alone, where there is no room among others"
        assert "¹Throughput" in await pressed("v")


def test_where_a_first_token_went_tells_whose_clock_each_part_is_by(looks):
    told = {one.name.strip(): one for one in origins_of(frame_of(both(looks), 20.5))}
    assert told["sent late"].source.startswith("the client's clock")
    assert "its status line" in told["queue"].source
    assert told["prefill"] == ("  prefill", "4.00 ms", "the server, with each answer")
    assert told["rest"].source == "what is left: the network, and what nobody tells"


def test_a_value_that_is_missing_says_why(looks):
    one = [event for event in looks if event.time <= 1.5 * SECOND]
    told = {o.name: o for o in server_origins(frame_of(both(one), 1.5).session, 0)}
    assert told["prompt tok/s"] == ("prompt tok/s", UNKNOWN, told["prompt tok/s"].source)
    assert "a rate needs two looks" in told["prompt tok/s"].source
    assert told["TTFT"].source == "llama.cpp tells no histogram of it"
    away = ServerStood(15 * SECOND, 0, "down", "nothing listens there")
    later = both([*looks[:14], away])
    old = {o.name: o.source for o in server_origins(frame_of(later, 20.5).session, 0)}
    assert old["replica"].endswith("old: it answers no more")
    never = both([ServerStood(SECOND, 0, "down", "nothing listens there")])
    assert server_origins(frame_of(never, 2).session, 0)[1] == (
        "values", UNKNOWN, "nothing listens there")  # fmt: skip


@pytest.mark.parametrize("width", [0, 1, 9, 24, 46, 78, 118, 198])
def test_sources_are_whole_wherever_there_is_room_for_words(looks, width):
    frame = frame_of(both(looks), 20.5)
    for height in HEIGHTS:
        frame.choices.origins = 10_000
        content = watched(frame, width, height)
        assert len(content.lines) <= height
        assert all(line_width(line) <= width for line in content.lines)
    lines = origin_lines(origins_of(frame), width)
    if width >= 46:
        told = "".join(text_of(lines).split())
        for one in origins_of(frame):
            assert "".join(one.source.split()) in told, one
            assert "".join(one.value.split()) in told, one


SGLANG = """\
sglang:num_running_reqs{model_name="m",tp_rank="0"} 2.0
sglang:weight_memory_usage_gb{model_name="m",tp_rank="0"} 14.5
sglang:kv_cache_memory_usage_gb{model_name="m",tp_rank="0"} 40.25
sglang:graph_memory_usage_gb{model_name="m",tp_rank="0"} 1.25
"""
"""Names as in SGLang's source; no page of a running one was seen."""


def test_the_parts_of_memory_that_a_server_tells_are_drawn():
    clock, told = ManualClock(), []
    with serving() as pages:
        pages.by_path["/metrics"] = 200, {}, SGLANG.encode()
        pages.by_path["/v1/models"] = 200, {}, b'{"data": [{"id": "m", "owned_by": "sglang"}]}'
        for _ in range(2):
            clock.time += SECOND
            told += WatchedServer(0, pages.url, clock).look()
    frame = frame_of(both(told), 20.5)
    assert own_parts(frame.session.watched.values()) == {
        "weights": round(14.5 * 2**30),
        "kv cache": round(40.25 * 2**30),
        "graphs": round(1.25 * 2**30),
    }
    text = text_of(memory(frame, 100, 16).lines)
    assert "its own  60.1 GB" in text and "kv cache 43.2 GB" in text and "graphs" in text
    attached = text_of(below(frame.session, Row(0, None, "", None), 100, 16).lines)
    assert "weights 15.6 GB" in attached
