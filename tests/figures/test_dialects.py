"""Each dialect against its tool's own arithmetic, written out by hand for one small run."""

import numpy as np
import pytest

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    Event,
    LevelEnded,
    LevelStarted,
    RequestAdmitted,
    RequestFailed,
    RequestFinished,
    RequestQueued,
    TokensEmitted,
)
from llamatop.figures import dialects
from llamatop.figures.dialects import DIALECTS, Reading, Spread, as_json, explain, figures
from llamatop.run.replay import fold
from llamatop.session.reducer import Session

REQUESTS = {
    # scheduled, sent, [(time, tokens)]
    1: (0.0, 0.2, [(1.0, 1), (1.5, 1), (2.5, 2)]),
    2: (0.0, 0.5, [(1.25, 1), (1.75, 1), (2.0, 1)]),
    3: (2.0, 2.0, [(2.75, 1), (3.0, 1)]),
    4: (2.5, 2.75, [(3.5, 1), (3.75, 3), (4.75, 1)]),
}


def at(seconds: float) -> int:
    return round(seconds * SECOND)


def recording(requests: dict = REQUESTS) -> Session:  # type: ignore[type-arg]
    told: list[Event] = []
    for id, (scheduled, sent, emissions) in requests.items():
        told += [RequestQueued(at(scheduled), id, 0, 8, 9), RequestAdmitted(at(sent), id, 0)]
        told += [TokensEmitted(at(time), id, count) for time, count in emissions]
        told.append(RequestFinished(at(emissions[-1][0]), id, "length"))
    told += [RequestQueued(at(4.0), 9, 0, 8, 9), RequestAdmitted(at(4.0), 9, 0)]
    told += [TokensEmitted(at(4.5), 9, 1), RequestFailed(at(5.0), 9, "boom")]
    return fold([LevelStarted(0, 0, 2, 5), *told, LevelEnded(at(5), 0, "ok")])


def reading(dialect: str, session: Session | None = None) -> Reading:
    (found,) = figures(session or recording(), dialect)
    return found


def assert_spread(found: Spread | None, values: list[float]) -> None:
    """Linear interpolation, as np.percentile."""
    assert found is not None
    wanted = [np.mean(values), *np.percentile(values, [50, 90, 99])]
    assert [found.mean, found.p50, found.p90, found.p99] == pytest.approx(wanted, rel=1e-12)


TTFTS = [1.0 - 0.2, 1.25 - 0.5, 2.75 - 2.0, 3.5 - 2.75]
LATENCIES = [2.5 - 0.2, 2.0 - 0.5, 3.0 - 2.0, 4.75 - 2.75]
PACES = [
    (2.3 - 0.8) / (4 - 1),
    (1.5 - 0.75) / (3 - 1),
    (1.0 - 0.75) / (2 - 1),
    (2 - 0.75) / (5 - 1),
]
CHUNKS = [0.5, 1.0, 0.5, 0.25, 0.25, 0.25, 1.0]


def test_vllm() -> None:
    found = reading("vllm")
    assert_spread(found.latencies["ttft"], TTFTS)
    assert_spread(found.latencies["e2e"], LATENCIES)
    assert_spread(found.latencies["tpot"], PACES)
    assert_spread(found.latencies["itl"], CHUNKS)
    assert (found.completed, found.failed, found.output_tokens) == (4, 1, 14)
    assert found.duration == 5.0, "until the failed request ended, too"
    assert found.output_rate == 14 / 5
    assert found.request_rate == 4 / 5


def test_aiperf() -> None:
    found = reading("aiperf")
    assert_spread(found.latencies["ttft"], TTFTS)
    assert_spread(found.latencies["itl"], PACES)
    assert_spread(found.latencies["icl"], CHUNKS)
    assert_spread(found.latencies["e2e"], LATENCIES)
    assert "tpot" not in found.latencies
    assert (found.completed, found.failed, found.output_tokens) == (4, 1, 14)
    assert found.duration == pytest.approx(4.75 - 0.2, rel=1e-12)
    assert found.output_rate == pytest.approx(14 / 4.55, rel=1e-12)
    assert found.request_rate == pytest.approx(4 / 4.55, rel=1e-12)


def weighted(values: list[float], weights: list[int]) -> list[float]:
    """guidellm's DistributionSummary.from_values: searchsorted in the cumulated shares."""
    order = np.argsort(values)
    shares = np.cumsum(np.array(weights)[order]) / np.sum(weights)
    picked = [np.array(values)[order][np.searchsorted(shares, p)] for p in (0.5, 0.9, 0.99)]
    return [float(np.average(values, weights=weights)), *map(float, picked)]


def test_guidellm() -> None:
    read = reading("guidellm")
    found = read.latencies
    assert (read.completed, read.failed, read.output_tokens) == (4, 1, 14)
    assert read.output_rate == pytest.approx(14 / 4.55, rel=1e-12)
    assert read.request_rate == pytest.approx(4 / 4.55, rel=1e-12)
    lengths = [4, 3, 2, 5]
    whole = [latency / n for latency, n in zip(LATENCIES, lengths, strict=True)]
    expected = {
        "ttft": weighted(TTFTS, [1] * 4),
        "tpot": weighted(whole, lengths),
        "itl": weighted(PACES, [n - 1 for n in lengths]),
        "e2e": weighted(LATENCIES, [1] * 4),
    }
    for name, wanted in expected.items():
        spread = found[name]
        assert spread is not None
        got = [spread.mean, spread.p50, spread.p90, spread.p99]
        assert got == pytest.approx(wanted, rel=1e-12), name


def test_mlperf() -> None:
    found = reading("mlperf")
    ttfts = sorted(at(t) for t in (1.0, 1.25, 0.75, 1.0))
    paces = sorted([at(1.5) // 3, at(0.75) // 2, at(0.25), at(1.25) // 4])
    latencies = sorted(at(t) for t in (2.5, 2.0, 1.0, 4.75 - 2.5))
    for name, values in (("ttft", ttfts), ("tpot", paces), ("e2e", latencies)):
        spread = found.latencies[name]
        assert spread is not None
        assert spread.mean == sum(values) // 4 / SECOND
        picked = [values[int(4 * p)] / SECOND for p in (0.5, 0.9, 0.99)]
        assert [spread.p50, spread.p90, spread.p99] == picked
    assert found.duration == 4.75
    assert found.output_rate == 14 / 4.75
    assert found.request_rate == 3 / 4.75


def test_one_token() -> None:
    session = recording({1: (0.0, 0.0, [(1.0, 1)]), 2: (0.0, 0.0, [(1.0, 1), (2.0, 1)])})
    assert reading("mlperf", session).latencies["tpot"] is None, "an error there"
    assert_spread(reading("vllm", session).latencies["tpot"], [1.0])
    assert_spread(reading("aiperf", session).latencies["itl"], [1.0])
    guide = reading("guidellm", session).latencies["tpot"]
    assert guide is not None
    assert guide.mean == pytest.approx((1.0 * 1 + 1.0 * 2) / 3)
    assert any("one token is an error" in text for text in explain(session, "mlperf"))


def test_llamatop_is_the_summary() -> None:
    found = reading("llamatop")
    assert found.output_tokens == 15
    assert found.duration == 4.75
    itl = found.latencies["itl"]
    assert itl is not None
    assert itl.mean == pytest.approx(sum(CHUNKS) / 10), "gaps of tokens, not of chunks"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_explained_in_words(dialect: str) -> None:
    told = explain(recording(), dialect)
    assert told
    assert as_json(recording(), dialect)["explanation"] == told
    assert as_json(fold([]), dialect)["levels"] == []
    empty = fold([LevelStarted(0, 0, 2, 5)])
    assert figures(empty, dialect)[0].output_rate is None
    assert explain(empty, dialect)


def test_the_words_tell_this_run() -> None:
    told = " ".join(explain(recording(), "vllm"))
    assert "ITL mean at concurrency 2: 535.7 ms, llamatop 375 ms (+42.9%)" in told
    assert "a chunk of several tokens" in told
    assert "before the sending" in told
    plain = recording({1: (0.0, 0.0, [(1.0, 1), (2.0, 1)])})
    assert "chunk" not in " ".join(explain(plain, "vllm"))


def test_an_unknown_dialect() -> None:
    with pytest.raises(KeyError):
        dialects.figures(recording(), "genai")
