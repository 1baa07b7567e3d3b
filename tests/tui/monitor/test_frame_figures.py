import pytest
from msgspec.structs import replace
from pytest import approx

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineLost,
    HostSampled,
    LevelEnded,
    LevelStarted,
    RequestAdmitted,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunEnded,
    Tick,
    TokensEmitted,
)
from llamatop.figures.levels import level_figures
from llamatop.figures.progress import finished_requests
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.recent import newest_first, recent_latency
from llamatop.tui.monitor.windows import (
    level_goodput,
    level_rate,
    pace_window,
    peak_rate,
    rate_now,
    rate_samples,
    sampled,
)
from tests.tui.conftest import until


def steady(per_second: float, seconds: int) -> Session:
    """One request that emits at an even pace from the start."""
    events = [LevelStarted(0, 0, 1, None), RequestQueued(0, 0, 0, 8, 10_000)]
    gap = int(SECOND / per_second)
    times = range(gap // 2, seconds * SECOND, gap)
    return fold([*events, *(TokensEmitted(t, 0, 1) for t in times), Tick(seconds * SECOND)])


def test_the_rate_now_is_that_of_the_last_second():
    assert rate_now(steady(40, 20)) == pytest.approx(40)


def test_a_slow_model_is_averaged_over_longer():
    session = steady(0.8, 40)
    assert pace_window(session) == 10 * SECOND
    assert rate_now(session) == pytest.approx(0.8)


def test_a_stall_of_a_quick_model_is_seen_at_once():
    session = steady(100, 20)
    session.apply(Tick(22 * SECOND))
    assert rate_now(session) == 0


def test_nothing_is_known_at_the_start():
    assert rate_now(Session()) is None
    assert peak_rate(Session()) is None
    assert level_rate(Session(), None) is None


def test_samples_end_at_whole_steps_and_know_nothing_before_the_run():
    session = steady(10, 3)
    samples = rate_samples(session, SECOND, 5)
    assert samples == [None, None, *[pytest.approx(10)] * 3]
    session.apply(Tick(3 * SECOND + SECOND // 3))
    assert rate_samples(session, SECOND, 5) == samples


def test_the_peak_is_the_best_second():
    assert peak_rate(steady(25, 4)) == 25
    late = fold([
        RequestQueued(0, 0, 0, 8, 10),
        *(TokensEmitted(SECOND // 2 + i * SECOND // 10, 0, 1) for i in range(10)),
        Tick(4 * SECOND),
    ])  # fmt: skip
    assert peak_rate(late) == 10, "it need not begin with a whole second"


def test_the_rate_now_is_never_above_the_peak(run_events):
    figures, session, seen = Figures(), Session(), 0
    for event in run_events:
        session.apply(event)
        figures.look(session)
        now, peak = figures.rate(), figures.peak()
        if session.now >= SECOND:
            seen += bool(now)
            assert now <= peak
    assert seen


def test_the_rate_of_a_level_agrees_with_its_summary(run_events):
    session = fold(run_events)
    for level in session.levels.values():
        exact = level_figures(session, level).output_rate
        assert level_rate(session, level) == pytest.approx(exact, rel=0.05)


def test_a_sample_holds_until_the_next_but_not_for_long():
    samples = [HostSampled(t * SECOND, 1, 1, 1, engine_bytes=t) for t in (1, 2, 8)]
    values = sampled(samples, lambda s: s.engine_bytes, 9 * SECOND, SECOND, 10)
    assert values == [None, 1, 2, 2, 2, 2, None, None, 8, 8]


def test_latencies_are_of_completed_requests_as_in_the_summary(run_events):
    session = fold(run_events)
    level = session.levels[1]
    known, exact = recent_latency(level), level_figures(session, level)
    assert known.of == "done"
    assert known.requests == exact.completed
    for name in ("ttft", "tpot", "itl", "e2e"):
        shown, right = known.spread[name.upper()], getattr(exact, name)
        assert (shown.p50, shown.p99) == pytest.approx((right.p50, right.p99))


def test_before_a_request_completes_those_in_flight_are_shown():
    known = recent_latency(steady(10, 2).levels[0])
    assert known.of == "in flight"
    assert known.requests == 1
    assert known.spread["TTFT"] is not None
    assert known.spread["E2E"] is None


def test_what_was_in_flight_when_the_engine_was_lost_is_so_no_more():
    session = steady(10, 2)
    session.apply(EngineLost(11 * SECOND, -9, "ended by SIGKILL"))
    known = recent_latency(session.levels[0])
    assert (known.requests, known.of) == (1, "unfinished")


def test_an_empty_level_has_no_latency():
    assert recent_latency(None).requests == 0


def test_finished_requests_leave_out_those_in_flight(run_events):
    session = fold(until(run_events, 3))
    level = session.level
    ended = sum(not request.active for request in level.requests)
    assert finished_requests(session, level) == ended


def test_ended_requests_come_newest_first(run_events):
    ids = [request.id for request in newest_first(fold(run_events), 10)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 10


def test_a_seek_forgets_what_was_worked_out(run_events):
    figures = Figures()
    figures.look(fold(run_events))
    later = figures.peak()
    early = fold(until(run_events, 2))
    early.now = figures.session.now
    figures.look(early)
    assert figures.peak() != later


COMPLETED = [
    LevelStarted(0, 0, 1, 1),
    RequestQueued(0, 0, 0, 8, 2),
    RequestAdmitted(0, 0, 0),
    TokensEmitted(SECOND // 3, 0, 1),
    TokensEmitted(SECOND, 0, 1),
    RequestFinished(SECOND, 0, "length"),
    LevelEnded(SECOND, 0, "ok"),
]
"""A level of one request that completes."""


def test_the_average_is_exact_once_the_level_has_ended():
    figures = Figures()
    figures.look(fold([*COMPLETED, Tick(9 * SECOND)]))
    assert figures.average() == pytest.approx(2.0)


def test_a_level_has_no_average_within_its_first_second():
    for seconds, known in ((0.9, False), (1.0, True), (3.0, True)):
        session = steady(20, 4)
        session.now = int(seconds * SECOND)
        assert (level_rate(session, session.level) is not None) == known


def test_goodput_counts_what_kept_its_targets(run_events):
    early, whole = fold(until(run_events, 6)), fold(run_events)
    done = [r for r in early.level.requests if r.state == "done"]
    passed = (early.now - early.level.requests[0].scheduled) / SECOND
    assert level_goodput(early.level, {"ttft": 99.0}, early.now) == approx(len(done) / passed)
    assert level_goodput(early.level, {"ttft": 0.001}, early.now) == 0
    assert level_goodput(early.level, {}, early.now) is None
    figures = Figures()
    config = replace(whole.started.config, slo={"ttft": 99.0})
    whole.started = replace(whole.started, config=config)
    figures.look(whole)
    assert figures.goodput() == level_figures(whole, whole.level).goodput > 0


def test_after_the_end_figures_are_of_the_newest_level_that_completed_requests():
    lost = [
        LevelStarted(2 * SECOND, 1, 2, 2),
        RequestQueued(2 * SECOND, 1, 1, 8, 2),
        RequestFailed(3 * SECOND, 1, "out of memory"),
        LevelEnded(3 * SECOND, 1, "oom"),
    ]
    figures = Figures()
    figures.look(fold([*COMPLETED, *lost]))
    assert figures.level_told.id == 1, "a run that goes on is told as it is"
    assert figures.average() is None
    session = fold([*COMPLETED, *lost, RunEnded(4 * SECOND, "oom")])
    figures.look(session)
    assert figures.level_told.id == 0
    assert figures.average() == approx(2.0)
    assert figures.latency().requests == 1
    figures.look(fold([LevelStarted(0, 0, 1, 1), LevelEnded(1, 0, "oom"), RunEnded(2, "oom")]))
    assert figures.level_told.id == 0, "where none did, the newest"


def test_targets_tell_how_many_meet_them(run_events):
    level = fold(run_events).levels[1]
    assert recent_latency(level).met is None
    assert recent_latency(level, {"ttft": 10.0}).met == 1
    assert recent_latency(level, {"ttft": 0.001}).met == 0


def test_peak_and_tokens_are_the_same_however_often_one_looks(run_events):
    figures, session = Figures(), Session()
    for event in run_events:
        session.apply(event)
        figures.look(session)
        figures.peak()
        assert figures.tokens() == sum(session.token_bins)
    assert figures.peak() == peak_rate(session)


def test_while_time_passes_latencies_are_worked_out_once_a_second():
    figures = Figures()
    session = fold([
        LevelStarted(0, 0, 2, 2),
        *(RequestQueued(0, i, 0, 8, 1) for i in (0, 1)),
        TokensEmitted(SECOND // 4, 0, 1),
        RequestFinished(SECOND // 4, 0, "length"),
    ])  # fmt: skip
    figures.look(session)
    assert figures.latency().requests == 1
    session.apply(TokensEmitted(SECOND // 2, 1, 1))
    session.apply(RequestFinished(SECOND // 2, 1, "length"))
    figures.look(session)
    assert figures.latency().requests == 1
    figures.look(session, still=True)
    assert figures.latency().requests == 2, "time has stopped: nothing is old"


def test_while_requests_only_fail_those_in_flight_are_kept_up_with():
    events = [
        LevelStarted(0, 0, 2, 2),
        *(RequestQueued(0, i, 0, 8, 9) for i in (0, 1)),
        TokensEmitted(SECOND // 4, 1, 1),
        RequestFailed(SECOND // 2, 0, "no"),
        TokensEmitted(SECOND // 2, 1, 1),
    ]
    figures, session = Figures(), fold(events)
    figures.look(session)
    assert len(figures.latency().values["ITL"]) == 1
    session.apply(TokensEmitted(2 * SECOND, 1, 1))
    figures.look(session)
    assert len(figures.latency().values["ITL"]) == 2


def test_the_peak_of_a_level_shorter_than_a_second_is_no_less_than_its_mean():
    burst = [
        LevelStarted(0, 0, 1, 1),
        RequestQueued(0, 0, 0, 8, 50),
        RequestAdmitted(0, 0, 0),
        *(TokensEmitted(place * SECOND // 100, 0, 1) for place in range(1, 51)),
        RequestFinished(SECOND // 2, 0, "length"),
        LevelEnded(SECOND // 2, 0, "ok"),
    ]
    figures = Figures()
    for end in (SECOND // 2, 9 * SECOND):
        figures.look(fold([*burst, Tick(end)]))
        assert figures.peak() == figures.average() == pytest.approx(100)
