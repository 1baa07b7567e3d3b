"""Every figure against one small run whose numbers were worked out by hand."""

import pytest

from llamatop.clock import SECOND
from llamatop.config import RunConfig
from llamatop.events import (
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
from llamatop.levels import level_figures
from llamatop.metrics import (
    current_rate,
    decode_rate,
    e2e,
    gaps,
    queue_time,
    rate_history,
    tpot,
    ttft,
)
from llamatop.replay import fold
from llamatop.session import Session


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
    for slo, met in (({"ttft": 1.2}, 1), ({"ttft": 1.5}, 2), ({"ttft": 1.5, "tpot": 0.1}, 1)):
        session = fold([RunStarted(0, RunConfig(slo=slo), HOST, "0", ""), *RUN[1:]])
        assert level_figures(session, session.levels[0]).goodput == met / 4


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
