"""The screen of a run on servers: what it says of them, of the client and of each request."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event, ServerKnown, ServerLost
from llamatop.tui.drawing.lines import line_width
from llamatop.tui.monitor.frame import Choices, Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.views.events import events as events_view
from llamatop.tui.monitor.views.header import header
from llamatop.tui.monitor.views.latency import latency, rows_of
from llamatop.tui.monitor.views.memory import memory
from llamatop.tui.monitor.views.request import request_page
from llamatop.tui.monitor.views.requests import row
from llamatop.tui.monitor.views.state import state_of
from llamatop.tui.monitor.views.throughput import throughput
from tests.served import MS, TWO, served, served_events, session_of, weighed
from tests.tui.conftest import live_app, screen_text
from tests.tui.monitor.marking import marks_of

WIDTHS = (3, 10, 24, 38, 46, 70, 118, 198)
HEIGHTS = (1, 2, 3, 5, 9, 14, 30)


def frame_of(events: Iterable[Event], seconds: float = 99, **options: object) -> Frame:
    session = session_of(event for event in events if event.time <= seconds * SECOND)
    figures = Figures()
    figures.look(session)
    return Frame(session, figures, **options)


def text_of(lines) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


EVENTS = served_events(short_every=7, resend_every=9, reasoning=20)
AWAY = served_events(served(urls=TWO), lost=True)


def test_the_header_says_which_server_and_where():
    first, second = (text_of([line]) for line in header(frame_of(EVENTS, 20), 120, 2))
    assert "tiny  llama.cpp b11549  127.0.0.1:8080  128 in 60 out  completions" in first
    assert "running" in second and "8 in flight" in second
    assert "2 servers" in text_of(header(frame_of(AWAY), 120, 2))


def test_before_it_has_answered_the_server_is_asked():
    frame = frame_of(EVENTS[:2])
    assert state_of(frame.session).word == "asking the server"
    assert "asking the server" in text_of(throughput(frame, 70, 9).lines)


def test_this_machine_does_not_hold_the_model():
    content = memory(frame_of(EVENTS, 20), 90, 7)
    text = text_of(content.lines)
    assert content.title == "Server" and not content.corner
    assert "● llama.cpp b11549   8 in flight" in text and "tokens by usage" in text
    assert "memory         N/A   the server's own" in text and "client" in text
    assert "engine" not in text


def test_a_server_that_runs_here_shows_its_memory_on_the_seconds_of_its_tokens():
    content = memory(frame_of(weighed(EVENTS, 7 * 10**9, device=71 * 10**9), 20), 90, 9)
    assert any("gpu 71.0 GB" in "".join(part for part, _ in line) for line in content.lines)
    content = memory(frame_of(weighed(EVENTS, 7 * 10**9), 20), 90, 9)
    assert not any("gpu" in "".join(part for part, _ in line) for line in content.lines)
    text = text_of(content.lines)
    assert "memory     7.00 GB   of the server" in text and "client" in text
    assert "server  8.00 GB" in text and "machine  2" not in text, "the chart is the server's"


def test_a_server_that_came_back_as_another_is_told():
    [first, *_] = [event for event in EVENTS if isinstance(event, ServerKnown)]
    note = "It was lost, and came back with version b2 instead of b1."
    again = replace(first, time=20 * SECOND, version="b2", notes=(note,))
    events = sorted([*EVENTS, again], key=lambda event: event.time)
    told = text_of(events_view(frame_of(events, 20.1), 140, 9).lines)
    assert f"is another: {note}" in told


def test_several_servers_have_a_row_each_and_a_lost_one_says_so():
    lost = next(event.time for event in AWAY if isinstance(event, ServerLost)) / SECOND
    frame = frame_of(AWAY, lost + 0.4)
    content = memory(frame, 90, 7)
    first, second, *_ = [text_of([line]) for line in content.lines]
    assert content.title == "Servers"
    assert "✗ one.example:8000  lost 0:00   connection refused" in first
    assert "● two.example:8443" in second and "in flight" in second
    assert "1 of 2 servers lost" in text_of(header(frame, 140, 2))
    assert (round(lost * SECOND), "failure") in marks_of(AWAY)


def test_where_rows_are_few_a_lost_server_comes_first():
    many = tuple(f"http://host{place}:80" for place in range(9))
    events = served_events(served(urls=many), lost=False)
    middle = events[len(events) // 2].time
    lost = sorted([*events, ServerLost(middle, 7, "gone")], key=lambda event: event.time)
    frame = frame_of(lost, middle / SECOND)
    rows = text_of(memory(frame, 60, 5).lines).splitlines()
    assert "✗ host7" in rows[0] and "7 more" in rows[2] and "memory" in rows[3]


def test_a_server_that_is_alone_and_lost_is_the_state_of_the_run():
    events = served_events(lost=True)
    lost = next(event.time for event in events if isinstance(event, ServerLost)) / SECOND
    frame = frame_of(events, lost + 0.4)
    assert state_of(frame.session).word == "server lost"
    assert "its return is awaited" in text_of(header(frame, 120, 2))
    assert state_of(frame_of(events, lost + 1.5).session).word == "running"


def test_the_client_has_its_rows_among_the_latencies():
    frame = frame_of(EVENTS)
    assert rows_of(frame.figures.latency())[-2:] == ["late", "lag"]
    text = text_of(latency(frame, 46, 12).lines)
    assert "TTFA" in text and "late " in text and "lag " in text
    low = latency(frame, 46, 6)
    assert "client late 0.2 ms lag 0.1 ms p99" in "".join(t for g in low.hints for t, _ in g)


@pytest.mark.parametrize("late", [MS, 9 * MS])
def test_a_late_client_is_what_is_measured(late: int):
    frame = frame_of(served_events(late=late))
    assert ("the client is measured" in text_of(header(frame, 140, 2))) is (late > 5 * MS)
    told = text_of(events_view(frame, 120, 20).lines)
    assert ("the client, not the server, is what was measured" in told) is (late > 5 * MS)


def test_every_number_that_is_a_guess_says_so():
    running = frame_of(EVENTS, 20)
    assert "~" in text_of(throughput(running, 90, 9).lines), "counted only at its end"
    assert "~" not in text_of(throughput(frame_of(EVENTS), 90, 9).lines)
    guess = frame_of(served_events(counted=False, by="estimate"))
    assert "~" in text_of(throughput(guess, 90, 9).lines)
    told = {line[:5].strip(): line for line in text_of(latency(guess, 46, 9).lines).splitlines()}
    assert "~" in told["TPOT"] and "~" in told["ITL"] and "~" not in told["TTFT"]
    request = next(r for r in guess.session.requests.values() if not r.warmup)
    assert "~60/60" in text_of([row(request, 90)])
    flying = next(r for r in running.session.active.values() if r.tokens)
    assert f"~{flying.tokens}/60" in text_of([row(flying, 90, None, provisional=True)])


def test_requests_that_ended_short_are_marked():
    session = frame_of(EVENTS).session
    short = next(r for r in session.requests.values() if r.short)
    assert "◑ short" in text_of([row(short, 90)]) and "55/60" in text_of([row(short, 90)])


def test_events_tell_many_of_one_kind_in_one_line():
    told = text_of(events_view(frame_of(EVENTS), 140, 30).lines).splitlines()
    assert sum("fewer tokens than asked" in line for line in told) == 2, "once a level"
    assert any("requests: connection lost before any answer, sent again" in line for line in told)
    assert any("llama.cpp b11549 at 127.0.0.1:8080: ready" in line for line in told)
    lost = text_of(events_view(frame_of(AWAY), 140, 30).lines)
    assert "✗ one.example:8000 lost: connection refused" in lost
    assert "◆ one.example:8000 answers again" in lost


def test_a_request_tells_its_stages_and_how_it_was_counted():
    frame = frame_of(EVENTS)
    short = next(r for r in frame.session.requests.values() if r.short)
    page = text_of(request_page(frame, short.id, 120, 35))
    for words in ("127.0.0.1:8080  llama.cpp", "sent ", "connected", "status", "first event",
                  "first token", "answer", "end", "by the server, at its end", "cached prompt",
                  "20 reasoning, 35 answer", "55 of 60 tokens", "┅ reasoning",
                  "TTFA"):  # fmt: skip
        assert words in page, words
    resent = next(r for r in frame.session.requests.values() if r.served.resent)
    assert "sent again" in text_of(request_page(frame, resent.id, 120, 35))


@pytest.mark.parametrize("events", [EVENTS, AWAY], ids=["one", "two"])
def test_nothing_is_wider_or_higher_than_its_place(events):
    for seconds in (0.0, 19.0, 99.0):
        frame = frame_of(events, seconds, choices=Choices())
        for width in WIDTHS:
            for height in HEIGHTS:
                for view in (memory, latency, throughput, events_view):
                    content = view(frame, width, height)
                    assert len(content.lines) <= height, (view, width, height)
                page = request_page(frame, 8, width, height)
                assert len(page) <= height and all(line_width(x) <= width for x in page)
                assert all(line_width(x) <= width for x in header(frame, width, 2))


async def test_one_request_of_a_run_on_servers_opens_and_closes():
    app = live_app([event for event in EVENTS if event.time <= 20 * SECOND])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert any("─ Server ─" in row for row in screen_text(app))
        await pilot.press("escape", "3")
        await pilot.pause()
        assert any("the server's own" in row for row in screen_text(app))
