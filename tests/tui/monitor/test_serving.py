"""A server that the run starts, on the screen: how it loads, that it serves, that it is lost."""

from __future__ import annotations

from msgspec.structs import replace

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineLost,
    Event,
    HostSampled,
    RunEnded,
    RunStarted,
    ServerPrinted,
    ServerReady,
    ServerStarted,
    Tick,
)
from llamatop.reports.servers import servers_json
from llamatop.run.headless import state_line
from llamatop.session.preface import preface
from llamatop.session.reducer import Session
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.views.events import events as events_view
from llamatop.tui.monitor.views.header import header
from tests.served import served_events

STARTED = next(event for event in served_events() if isinstance(event, RunStarted))
LOADING: list[Event] = [
    replace(STARTED, config=replace(STARTED.config, serve="vllm")),
    ServerStarted(SECOND, "vllm serve [/red] --port 1"),
    HostSampled(2 * SECOND, used_bytes=1, available_bytes=1, total_bytes=2, server_bytes=700),
    ServerPrinted(3 * SECOND, "Loading safetensors [bold]50 %"),
    HostSampled(4 * SECOND, used_bytes=1, available_bytes=1, total_bytes=2, server_bytes=500),
    Tick(5 * SECOND),
]
READY = ServerReady(6 * SECOND)
LOST = EngineLost(5 * SECOND, 1, "the server ended while it was loading: exit code 1", server=True)


def session_of(*more: Event) -> Session:
    session = Session()
    for event in [*LOADING, *more]:
        session.apply(event)
    return session


def lines(session: Session, view: str = "header", width: int = 100) -> list[str]:
    figures = Figures()
    figures.look(session)
    frame = Frame(session, figures)
    told = header(frame, width, 2) if view == "header" else events_view(frame, width, 8).lines
    return ["".join(text for text, _ in line) for line in told]


def test_while_it_loads_its_newest_line_is_shown() -> None:
    [_, second, *_] = lines(session_of())
    assert "loading" in second
    assert "the server loads, 0:05: Loading safetensors [bold]50 %" in second
    assert state_line(session_of()) == "0:05, the server loads: Loading safetensors [bold]50 %"
    assert len(state_line(session_of(ServerPrinted(5 * SECOND, "x" * 500)))) < 80


def test_that_it_is_ready_is_told_with_its_time_and_memory() -> None:
    told = lines(session_of(READY), "events", 70)
    assert any("serving: vllm serve [/red] --port 1" in line for line in told)
    by_path = session_of(ServerStarted(0, "/opt/bin/serve /models/a.gguf --port 1"))
    assert any("serving: serve a.gguf --port 1" in line for line in lines(by_path, "events", 70))
    assert any("the server was ready after 5.00 s, 700 B in its processes" in line for line in told)
    assert servers_json(session_of(READY))["serve"] == {
        "command": "vllm serve [/red] --port 1", "loading_s": 5.0, "loading_peak_bytes": 700,
    }  # fmt: skip


def test_one_that_ends_while_it_loads_is_the_servers_loss_not_the_clients() -> None:
    session = session_of(LOST, RunEnded(5 * SECOND, "failed"))
    [_, second, *_] = lines(session)
    assert "server lost" in second and "exit code 1" in second
    assert servers_json(session)["serve"]["loading_s"] is None


def test_a_recording_that_begins_later_knows_of_it() -> None:
    again = Session()
    for event in preface(session_of(READY)):
        again.apply(event)
    assert (again.serving, again.ready) == (LOADING[1], READY)
