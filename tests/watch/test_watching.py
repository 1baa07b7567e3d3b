"""A watched server from its first answer to its figures, by what real servers said."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llamatop.events.clock import SECOND, ManualClock
from llamatop.events.kinds import ServerSeen, ServerStood
from llamatop.figures.serving import combined, state_of, together
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session
from llamatop.session.watched import Watched
from llamatop.settings.config import RunConfig
from llamatop.watch.server import WatchedServer
from llamatop.watch.source import Watch
from tests.waiting import until
from tests.watch.pages import Pages, serving, stored
from tests.watch.test_page import AFTER, DP2


def vllm(pages: Pages, metrics: str) -> None:
    pages.say("/v1/models", "vllm-0.32.0.v1-models.http")
    pages.say("/version", "vllm-0.32.0.version.http")
    pages.say("/metrics", metrics)


def looked(session: Session, server: WatchedServer, clock: ManualClock) -> None:
    for event in server.look():
        session.apply(event)
    clock.time += SECOND


def test_two_replicas_and_a_restart() -> None:
    """Percentiles as PromQL's histogram_quantile gives them, worked by hand on the two pages."""
    session, clock = Session(), ManualClock()
    with serving() as pages:
        vllm(pages, DP2)
        server = WatchedServer(0, pages.url, clock)
        looked(session, server, clock)
        watched = session.watched[0]
        assert state_of(watched, session.now) == "up"
        first = together(watched)
        assert first is not None and first.generation_tokens == 3616 + 3648
        assert first.generation_rate is None, "one look gives no rate"
        assert first.latencies["ttft_s"]["p50"] is None

        pages.say("/metrics", AFTER)
        looked(session, server, clock)
    assert state_of(watched, session.now) == "restarted"
    load = together(watched)
    assert load is not None
    assert load.generation_tokens == 312 + 609
    assert load.generation_rate == 312 + 609, "tokens since the restart, over a second"
    assert load.prompt_rate == 1114 + 1144
    assert load.prefix_hit_rate == pytest.approx(768 / 2258)
    ttft, itl = load.latencies["ttft_s"], load.latencies["itl_s"]
    # summed: 4 up to 0.1 s, 8 up to 0.25 and 0.75, 9 up to 1.0, 10 up to 2.5
    assert values(ttft) == pytest.approx([0.1 + 0.15 * 1 / 4, 1.0, 1.0 + 1.5 * 0.9])
    # 911 gaps, 614 of them up to 0.01 s, 722 up to 0.025, 832 up to 0.05; 892 to 0.1, 902 to 0.15
    assert itl["p50"] is not None and (itl["p50"].value, itl["p50"].below) == (None, 0.01)
    assert values(itl)[1:] == pytest.approx([0.025 + 0.025 * 97.9 / 110, 0.1 + 0.05 * 9.89 / 10])


def values(found: object) -> list[float]:
    assert isinstance(found, dict)
    return [one.value for one in found.values()]


def test_servers_of_a_cluster_are_summed() -> None:
    session, clock = Session(), ManualClock()
    with serving() as one, serving() as other:
        servers = []
        for place, pages in enumerate((one, other)):
            vllm(pages, DP2)
            servers.append(WatchedServer(place, pages.url, clock))
        for server in servers:
            looked(session, server, clock)
    load = combined(session.watched.values())
    assert load is not None and load.generation_tokens == 2 * (3616 + 3648)


def test_what_it_is_is_asked_once_and_again_when_it_was_away() -> None:
    session, clock = Session(), ManualClock()
    with serving() as pages:
        vllm(pages, DP2)
        server = WatchedServer(0, pages.url, clock)
        looked(session, server, clock)
        looked(session, server, clock)
        seen = session.watched[0].seen
        assert seen is not None
        assert (seen.name, seen.version, seen.model) == ("vllm", "0.32.0", "tiny")
        assert seen.context == 2048
        assert [path for path, _ in pages.asked].count("/v1/models") == 1
        pages.say("/metrics", "llamacpp-b11434.metrics-loading-503.http")
        events = server.look()
        assert [type(event) for event in events] == [ServerStood]
        assert isinstance(events[0], ServerStood) and events[0].state == "starting"
        vllm(pages, DP2)
        assert any(isinstance(event, ServerSeen) for event in server.look())
    events = server.look()
    assert isinstance(events[0], ServerStood) and events[0].state == "down"
    assert server.look() == [], "told once"


def test_a_node_that_told_nothing_of_an_engine_is_known_once_it_does() -> None:
    """Ray's metrics port, before its replica has answered a request and after."""
    session, clock, own = Session(), ManualClock(), b'ray_actors{State="ALIVE"} 4.0\n'
    with serving() as pages:
        server = WatchedServer(0, pages.url, clock)
        for told, name, state in (
            (own, "unknown", "no metrics"),
            (own + b'ray_vllm_num_requests_running{engine="0"} 1.0\n', "ray", "up"),
        ):
            pages.by_path["/metrics"] = 200, {"Content-Type": "text/plain; version=0.0.4"}, told
            looked(session, server, clock)
            watched = session.watched[0]
            assert watched.seen is not None and watched.seen.name == name
            assert state_of(watched, session.now) == state
        looked(session, server, clock)
    asked = [path for path, _ in pages.asked]
    assert asked.count("/v1/models") == 2, "once more, when there was something new to know"


def test_a_page_with_a_bad_line_is_stale_and_said() -> None:
    session, clock = Session(), ManualClock()
    with serving() as pages:
        vllm(pages, DP2)
        server = WatchedServer(0, pages.url, clock)
        looked(session, server, clock)
        status, headers, body = pages.by_path["/metrics"]
        bad = body.replace(b'model_name="tiny"} 3616.0', b'model_name="tiny"} 36x6.0', 1)
        pages.by_path["/metrics"] = status, headers, bad
        looked(session, server, clock)
    watched = session.watched[0]
    assert state_of(watched, session.now) == "stale"
    assert watched.stood is not None and "cannot be read" in watched.stood.said
    assert watched.replicas["0"].now.counters, "what was known stays"


def test_llamacpp_without_metrics_still_shows_its_slots() -> None:
    session, clock = Session(), ManualClock()
    with serving() as pages:
        pages.say("/v1/models", "llamacpp-b11434.v1-models.http")
        pages.say("/props", "llamacpp-b11434.props.http")
        pages.say("/metrics", "llamacpp-b11434.metrics-not-enabled-501.http")
        pages.say("/slots", "llamacpp-b11434.slots-load.http")
        server = WatchedServer(0, pages.url, clock)
        looked(session, server, clock)
    watched = session.watched[0]
    assert state_of(watched, session.now) == "no metrics"
    assert watched.stood is not None and "--metrics" in watched.stood.said
    assert [slot.decoded for slot in watched.slots.values()] == [177] * 4


def test_a_key_is_sent_to_the_server_and_not_where_it_leads() -> None:
    with serving() as pages, serving() as elsewhere:
        vllm(pages, DP2)
        pages.by_path["/metrics"] = 307, {"Location": f"{elsewhere.url}/metrics"}, b""
        server = WatchedServer(0, pages.url, ManualClock(), {"Authorization": "Bearer k"})
        server.look()
        assert all(headers.get("authorization") == "Bearer k" for _, headers in pages.asked)
        assert not elsewhere.asked
        accepts = [headers["accept"] for path, headers in pages.asked if path == "/metrics"]
        assert accepts == ["text/plain; version=0.0.4"]


def test_a_key_that_a_server_repeats_is_told_nowhere() -> None:
    said = b'{"error": {"message": "key sk-secret is wrong"}}'
    with serving() as pages:
        pages.by_path["/metrics"] = 503, {}, said
        server = WatchedServer(0, pages.url, ManualClock(), {"Authorization": "Bearer sk-secret"})
        (stood,) = server.look()
    assert isinstance(stood, ServerStood) and stood.said == "key *** is wrong"


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe", b"[1, null]", b'{"data": 7}', b""])
def test_nothing_that_a_server_says_ends_the_watch(body: bytes) -> None:
    session, clock = Session(), ManualClock()
    with serving() as pages:
        for path in ("/metrics", "/slots", "/v1/models", "/props", "/version", "/api/ps"):
            pages.by_path[path] = 200, {}, body
        server = WatchedServer(0, pages.url, clock)
        for _ in range(2):
            looked(session, server, clock)
    assert session.watched[0].stood is not None


def test_a_redirect_within_the_server_is_followed() -> None:
    session, clock = Session(), ManualClock()
    with serving() as pages:
        vllm(pages, DP2)
        pages.by_path["/metrics/"] = pages.by_path["/metrics"]
        pages.by_path["/metrics"] = 307, {"Location": f"{pages.url}/metrics/"}, b""
        looked(session, WatchedServer(0, pages.url, clock), clock)
    assert state_of(session.watched[0], session.now) == "up"


class Held(dict[str, tuple[int, dict[str, str], bytes]]):
    """Answers that wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def get(self, *asked: Any) -> Any:
        self.free.wait(60)
        return super().get(*asked)


def test_the_end_has_a_last_look_and_waits_for_none_that_does_not_come() -> None:
    with serving() as pages:
        vllm(pages, DP2)
        watch = Watch(RunConfig(engine="attach", urls=(pages.url,)))
        pump = Pump(watch, Session())
        watch.start()
        until(lambda: (pump.step(), pump.session.watched.get(0, Watched()).replicas)[1])
        held = Held()
        held |= {**pages.by_path, "/metrics": stored(AFTER)}
        pages.by_path = held
        watch.stop()
        until(lambda: (pump.step(), watch.ended)[1])
        assert pump.session.ended is not None and pump.session.ended.outcome == "stopped"
        assert pump.session.watched[0].replicas["0"].told["vllm:generation_tokens"] == 3616
        held.free.set()
        watch.close()


def test_a_watch_of_some_seconds_ends_by_itself() -> None:
    with serving() as pages:
        vllm(pages, DP2)
        watch = Watch(RunConfig(engine="attach", urls=(pages.url,), max_time=0.1))
        pump = Pump(watch, Session())
        watch.start()
        until(lambda: (pump.step(), watch.ended)[1])
        watch.close()
    assert pump.session.ended is not None and pump.session.ended.outcome == "ok"


def test_what_a_server_did_since_the_last_full_second_is_told_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llamatop.watch.source.HURRIED", 60 * SECOND)
    with serving() as pages:
        vllm(pages, DP2)
        watch = Watch(RunConfig(engine="attach", urls=(pages.url,)))
        pump = Pump(watch, Session())
        watch.start()
        until(lambda: (pump.step(), pump.session.watched.get(0, Watched()).replicas)[1])
        vllm(pages, AFTER)
        watch.stop()
        until(lambda: (pump.step(), watch.ended)[1])
        watch.close()
    session = pump.session
    assert session.watched[0].replicas["0"].told["vllm:generation_tokens"] == 312
    assert session.ended is not None and session.ended.outcome == "stopped"
    assert session.watched[0].replicas["0"].now.time <= session.ended.time
