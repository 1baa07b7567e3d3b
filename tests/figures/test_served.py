"""What servers and their client add to a level's figures."""

from __future__ import annotations

import pytest

from llamatop.engines.scripted import Script, script
from llamatop.events.clock import SECOND
from llamatop.figures.dialects.readings import figures as readings
from llamatop.figures.levels import LevelFigures, level_figures
from llamatop.figures.served import client_bound
from llamatop.session.reducer import Session
from llamatop.settings.config import RunConfig
from tests.served import MS, served, served_events, session_of


def first_level(session: Session) -> LevelFigures:
    return level_figures(session, next(iter(session.levels.values())))


def test_a_level_counts_what_its_servers_told() -> None:
    own = first_level(session_of(served_events(short_every=5, resend_every=7, reasoning=10)))
    assert own.served is not None
    told = own.served
    assert (own.completed, told.estimated_tokens, own.estimated) == (24, 0, False)
    ids = range(2, 26)  # after two of warm-up
    assert told.short == sum(id % 5 == 0 for id in ids)
    assert told.resent == sum(id % 7 == 0 for id in ids)
    assert told.reasoning_tokens == 24 * 10
    assert told.cached_prompt_tokens == 24 * 16
    assert own.prompt_tokens == 24 * 130  # as the server counted, not as asked
    assert own.output_tokens == 24 * 60 - 5 * told.short
    assert told.ttfa is not None and own.ttft is not None and told.ttfa.p50 > own.ttft.p50


def test_without_reasoning_there_is_no_first_answer() -> None:
    told = first_level(session_of(served_events())).served
    assert told is not None and told.ttfa is None and told.reasoning_tokens == 0


def test_tokens_that_nobody_counted_are_an_estimate() -> None:
    own = first_level(session_of(served_events(counted=False)))
    assert own.served is not None
    assert own.served.estimated_tokens == own.output_tokens == 24 * 60 and own.estimated
    assert own.served.reasoning_tokens is None and own.served.cached_prompt_tokens is None
    assert own.served.short == 0  # a guess is no reason to say so


def test_requests_that_failed_are_in_no_mean() -> None:
    own = first_level(session_of(served_events(behaviour=Script(fail_every=6))))
    assert own.failed == 4 and own.served is not None
    assert own.ttft is not None and own.ttft.count == 20
    assert own.served.reasoning_tokens == 0  # of those that ended well, all told
    assert own.served.estimated_tokens > 0  # those that failed on a server that counts at the end


def test_a_request_cut_off_on_a_server_that_counts_as_it_sends_is_counted() -> None:
    events = served_events(by="token_ids", behaviour=Script(fail_every=6))
    told = first_level(session_of(events)).served
    assert told is not None and told.estimated_tokens == 0


@pytest.mark.parametrize(
    ("late", "lag", "bound"),
    [(MS, MS, False), (6 * MS, MS, True), (MS, 6 * MS, True), (4 * MS, 4 * MS, False)],
)
def test_a_client_that_is_late_is_what_was_measured(late: int, lag: int, bound: bool) -> None:
    own = first_level(session_of(served_events(late=late, lag=lag)))
    assert own.served is not None and own.served.client.late is not None
    assert own.served.client.late.p99 == late / SECOND
    assert own.served.client.lag is not None and own.served.client.lag.p99 == lag / SECOND
    assert client_bound(own.served.client, own.ttft) is bound


def test_where_first_tokens_are_slow_a_client_may_be_late_by_a_share_of_them() -> None:
    slow = served_events(late=6 * MS, behaviour=Script(prefill_per_token=0.002))
    own = first_level(session_of(slow))
    assert own.ttft is not None and own.ttft.p50 > 0.2 and own.served is not None
    assert not client_bound(own.served.client, own.ttft)


def test_memory_of_a_server_is_not_the_client_s() -> None:
    own = first_level(session_of(served_events()))
    assert (own.host_peak_bytes, own.baseline_bytes, own.mbu, own.mfu) == (None,) * 4


def test_another_tool_s_latencies_begin_with_the_sending_and_the_first_chunk() -> None:
    session = session_of(served_events(served(requests=4), late=2 * MS))
    ours, theirs = readings(session, "llamatop")[0], readings(session, "vllm")[0]
    assert theirs.latencies["ttft"] is not None and ours.latencies["ttft"] is not None
    assert theirs.latencies["ttft"].mean == pytest.approx(0.003)  # of the role chunk
    assert ours.latencies["ttft"].mean > 0.05
    assert theirs.latencies["tpot"] is not None and ours.latencies["tpot"] is not None
    assert theirs.latencies["tpot"].mean > ours.latencies["tpot"].mean


def test_in_process_there_is_nothing_of_servers() -> None:
    session = session_of(script(RunConfig(engine="scripted")))
    assert first_level(session).served is None
