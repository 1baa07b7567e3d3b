"""Every figure against one small run whose numbers were worked out by hand."""

import pytest

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineWarmed,
    Event,
    HostFacts,
    HostSampled,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    RequestAdmitted,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    RunStarted,
    Tick,
    TokensEmitted,
)
from llamatop.figures.levels import level_figures
from llamatop.figures.requests import (
    current_rate,
    decode_rate,
    e2e,
    gaps,
    queue_time,
    rate_history,
    tpot,
    ttft,
)
from llamatop.run.replay import fold
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.settings.config import RunConfig


def at(seconds: float) -> int:
    return round(seconds * SECOND)


def loaded(device: str = "cpu") -> ModelLoaded:
    return ModelLoaded(
        0,
        engine="batch",
        engine_reason="",
        device=device,
        device_name="",
        dtype="float32",
        weights="random",
        parameters=10,
        weights_bytes=1000,
    )


HOST = HostFacts("Linux", "cpu", 2, None, "3.11")

RUN: list[Event] = [
    RunStarted(0, RunConfig(), HOST, "0", "2026-01-01"),
    loaded(),
    LevelStarted(at(1), 0, 2, 3),
    RequestQueued(at(1), 0, 0, 8, 1, warmup=True),
    RequestAdmitted(at(1), 0, 0),
    TokensEmitted(at(1.5), 0, 1),
    RequestFinished(at(1.5), 0, "length"),
    EngineWarmed(at(1.6), 1400),
    RequestQueued(at(2), 1, 0, 8, 4),
    RequestAdmitted(at(2.25), 1, 0),
    RequestQueued(at(2), 2, 0, 8, 4),
    RequestAdmitted(at(2.25), 2, 0),
    TokensEmitted(at(3), 1, 1),
    TokensEmitted(at(3), 2, 1),
    TokensEmitted(at(4), 1, 2),  # two tokens in one emission: two gaps of half a second
    RequestFailed(at(4.5), 2, "boom"),
    HostSampled(at(4.6), None, None, None, engine_bytes=1700),
    RequestQueued(at(4.5), 3, 0, 8, 1),
    RequestAdmitted(at(4.5), 3, 0),
    TokensEmitted(at(5), 1, 1),
    RequestFinished(at(5), 1, "length"),
    TokensEmitted(at(6), 3, 1),
    RequestFinished(at(6), 3, "length"),
    LevelEnded(at(6), 0, "ok"),
]


@pytest.fixture
def session() -> Session:
    return fold(RUN)


def test_one_request(session: Session) -> None:
    request = session.requests[1]
    assert queue_time(request) == 0.25
    assert ttft(request) == 1.0
    assert e2e(request) == 3.0
    assert tpot(request) == pytest.approx(2 / 3)
    assert decode_rate(request) == pytest.approx(1.5)
    assert list(gaps(request)) == [0.5, 0.5, 1.0]


def test_one_token_has_no_tpot(session: Session) -> None:
    assert tpot(session.requests[3]) is None
    assert list(gaps(session.requests[3])) == []


def test_level(session: Session) -> None:
    figures = level_figures(session, session.levels[0])
    assert (figures.requests, figures.completed, figures.failed) == (3, 2, 1)
    assert (figures.prompt_tokens, figures.output_tokens) == (24, 6), "warm-up is left out"
    assert figures.duration == 4.0, "from the first scheduled time to the last token"
    assert figures.output_rate == 1.5
    assert figures.request_rate == 0.5
    assert figures.ttft is not None
    assert figures.ttft.mean == 1.25
    assert figures.tpot is not None
    assert figures.tpot.count == 1
    assert figures.itl is not None
    assert figures.itl.p50 == 0.5
    assert figures.coalesced == 2


def test_steady_state_is_while_all_slots_are_in_use(session: Session) -> None:
    # full from 2.25 (both admitted) to 5.0 (one of two ends, nobody follows): 5 tokens after
    # 2.25 and up to 5
    assert level_figures(session, session.levels[0]).steady_rate == pytest.approx(5 / 2.75)


def test_goodput_counts_who_met_every_target() -> None:
    assert level_figures(fold(RUN), fold(RUN).levels[0]).goodput is None
    cases = (({"ttft": 1.2}, 1, 2), ({"ttft": 1.5}, 2, 2), ({"ttft": 1.5, "tpot": 0.1}, 0, 1))
    for slo, met, judged in cases:  # one of the two has one token, and so no TPOT
        session = fold([RunStarted(0, RunConfig(slo=slo), HOST, "0", ""), *RUN[1:]])
        figures = level_figures(session, session.levels[0])
        assert (figures.goodput, figures.judged) == (met / 4, judged)


def test_memory(session: Session) -> None:
    figures = level_figures(session, session.levels[0])
    assert figures.host_peak_bytes == 1700, "the samples' peak where the kernel told none"
    assert figures.baseline_bytes == 400, "after warm-up, less the weights"
    session.apply(LevelEnded(at(6), 0, "ok", host_peak_bytes=1800))
    assert level_figures(session, session.levels[0]).host_peak_bytes == 1800


def test_baseline_on_a_device_keeps_no_weights_in_memory() -> None:
    session = fold([loaded("cuda:0"), EngineWarmed(1, 1400)])
    session.apply(LevelStarted(2, 0, 1, 1))
    assert level_figures(session, session.levels[0]).baseline_bytes == 1400


def test_an_empty_level_knows_nothing() -> None:
    session = fold([LevelStarted(0, 0, 1, 1), Tick(at(1))])
    figures = level_figures(session, session.levels[0])
    unknown = (figures.duration, figures.output_rate, figures.request_rate, figures.ttft)
    assert unknown == (None, None, None, None)
    assert (figures.host_peak_bytes, figures.baseline_bytes) == (None, None)


def test_rates(session: Session) -> None:
    assert rate_history(session) == [0, 1, 0, 2, 2, 1]
    assert current_rate(session, 2.0) == 1.5
    assert current_rate(Session()) is None


def level_of(
    concurrency: int, requests: list[tuple[float, float]], **end: object
) -> tuple[Session, Level]:
    """A level whose requests were (admitted, ended) so, of ten tokens each."""
    events: list[Event] = []
    for id, (begin, stop) in enumerate(requests):
        events += [
            RequestQueued(at(begin), id, 0, 8, 10),
            RequestAdmitted(at(begin), id, 0),
            TokensEmitted(at(stop), id, 10),
            RequestFinished(at(stop), id, "length"),
        ]
    events.sort(key=lambda event: event.time)
    ended = LevelEnded(max(event.time for event in events), 0, "ok", **end)  # type: ignore[arg-type]
    session = fold([LevelStarted(0, 0, concurrency, None), *events, ended])
    return session, session.levels[0]


def test_steady_part_leaves_a_slow_start_out() -> None:
    starts = [0.0, 4.0, *(8.0 + place for place in range(30))]
    ends = [*starts[1:], 38.0]
    session, level = level_of(1, list(zip(starts, ends, strict=True)))
    steady = level_figures(session, level).steady
    assert steady is not None
    assert (steady.start, steady.rate, steady.windows) == (8.0, 10.0, 30)


def test_steady_part_ends_before_the_slots_run_empty() -> None:
    # two slots, half a second apart; the last request runs alone and very long
    requests = [(place / 2, place / 2 + 1) for place in range(40)]
    session, level = level_of(2, [*requests, (20.0, 60.0)])
    steady = level_figures(session, level).steady
    assert steady is not None
    assert steady.rate == pytest.approx(20, rel=0.05)
    assert level_figures(session, level).output_rate == pytest.approx(410 / 60)


def test_a_whole_last_wave_counts_and_a_part_of_one_does_not() -> None:
    waves = [(float(wave), wave + 1.0) for wave in range(12) for _ in range(3)]
    session, level = level_of(3, waves)
    steady = level_figures(session, level).steady
    assert steady is not None and (steady.windows, steady.rate) == (12, 30.0)
    session, level = level_of(3, [*waves, (12.0, 40.0)])
    assert level_figures(session, level).steady == steady


def test_a_level_that_had_enough_is_judged_at_that_moment() -> None:
    requests = [(float(place), place + 1.0) for place in range(30)]
    session, level = level_of(1, requests, ended_by="interval", enough_at=at(20))
    steady = level_figures(session, level).steady
    assert steady is not None and steady.windows == 20
    assert level_figures(session, level).ended_by == "interval"


def test_few_requests_have_no_steady_part(session: Session) -> None:
    assert level_figures(session, session.levels[0]).steady is None
