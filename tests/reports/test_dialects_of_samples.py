"""Each dialect on the samples that ship, against its tool's arithmetic on the raw file.

Written out with NumPy from each tool's own source; nothing of llamatop's is called for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llamatop.figures.dialects import Reading, Spread, explain, figures
from llamatop.recording.reader import fold_recording
from tests.reports.raw import SAMPLES, gaps_of, levels_of, requests_of

Values = np.ndarray


@pytest.fixture(params=SAMPLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def readings(path: Path, dialect: str) -> list[tuple[Reading, pl.DataFrame, pl.DataFrame]]:
    """What llamatop says; the level's requests that are complete; and all of its requests."""
    requests = requests_of(path)
    found = figures(fold_recording(path).session, dialect)
    levels = levels_of(path)
    assert [one.concurrency for one in found] == [level["concurrency"] for level in levels]
    tables = [requests.filter(pl.col("level") == level["level"]) for level in levels]
    return [(one, all_.filter("done"), all_) for one, all_ in zip(found, tables, strict=True)]


def column(table: pl.DataFrame, name: str) -> Values:
    return table[name].to_numpy().astype(np.int64)


def assert_spread(found: Spread | None, mean: float, percentiles: list[float]) -> None:
    assert found is not None
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert [found.p50, found.p90, found.p99] == pytest.approx(percentiles, rel=1e-12)


def assert_linear(found: Spread | None, values: Values) -> None:
    assert_spread(found, float(np.mean(values)), np.percentile(values, [50, 90, 99]).tolist())


def chunks(path: Path, level: int) -> Values:
    return gaps_of(path).filter(pl.col("level") == level)["chunk_gap"].to_numpy()


def test_vllm(path: Path) -> None:
    for found, done, every in readings(path, "vllm"):
        assert found.completed == done.height
        if not done.height:
            continue
        sent, first, last, n = (column(done, c) for c in ("admitted", "first", "last", "tokens"))
        assert_linear(found.latencies["ttft"], (first - sent) / 1e9)
        assert_linear(found.latencies["e2e"], (last - sent) / 1e9)
        assert_linear(found.latencies["tpot"], ((last - first) / 1e9 / (n - 1))[n > 1])
        assert_linear(found.latencies["itl"], chunks(path, found.level))
        seconds = (every["ended"].max() - every["queued"].min()) / 1e9  # type: ignore[operator]
        assert found.output_rate == pytest.approx(n.sum() / seconds, rel=1e-12)
        assert found.request_rate == pytest.approx(done.height / seconds, rel=1e-12)


def test_aiperf(path: Path) -> None:
    for found, done, _ in readings(path, "aiperf"):
        if not done.height:
            continue
        sent, first, last, n = (column(done, c) for c in ("admitted", "first", "last", "tokens"))
        assert_linear(found.latencies["ttft"], (first - sent) / 1e9)
        assert_linear(found.latencies["itl"], ((last - first) / 1e9 / (n - 1))[n > 1])
        assert_linear(found.latencies["icl"], chunks(path, found.level))
        seconds = (last.max() - sent.min()) / 1e9
        assert found.output_rate == pytest.approx(n.sum() / seconds, rel=1e-12)


def weighted(values: Values, weights: Values) -> tuple[float, list[float]]:
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order] / weights.sum())  # with the roundings of guidellm's own sum
    places = np.minimum(np.searchsorted(shares, [0.5, 0.9, 0.99]), len(shares) - 1)
    picked = values[order][places]
    return float(np.average(values, weights=weights)), [float(value) for value in picked]


def test_guidellm(path: Path) -> None:
    for found, done, _ in readings(path, "guidellm"):
        if not done.height:
            continue
        sent, first, last, n = (column(done, c) for c in ("admitted", "first", "last", "tokens"))
        ended, ones, several = column(done, "ended"), np.ones_like(n), n > 1
        paces = ((last - first) / 1e9)[several] / (n[several] - 1)
        assert_spread(found.latencies["ttft"], *weighted((first - sent) / 1e9, ones))
        assert_spread(found.latencies["e2e"], *weighted((ended - sent) / 1e9, ones))
        assert_spread(found.latencies["tpot"], *weighted((last - sent) / 1e9 / n, n))
        assert_spread(found.latencies["itl"], *weighted(paces, n[several] - 1))


def test_mlperf(path: Path) -> None:
    for found, done, every in readings(path, "mlperf"):
        if not done.height:
            continue
        due, first, last, n = (column(done, c) for c in ("queued", "first", "last", "tokens"))
        for name, values in (
            ("ttft", first - due),
            ("e2e", last - due),
            ("tpot", (last - first) // np.maximum(n - 1, 1)),
        ):
            ordered = np.sort(values).tolist()
            picked = [ordered[int(len(ordered) * p)] / 1e9 for p in (0.5, 0.9, 0.99)]
            assert_spread(found.latencies[name], sum(ordered) // len(ordered) / 1e9, picked)
        seconds = (last.max() - every["queued"].min()) / 1e9  # type: ignore[operator]
        assert found.output_rate == pytest.approx(n.sum() / seconds, rel=1e-12)
        assert found.request_rate == pytest.approx((done.height - 1) / seconds, rel=1e-12)


@pytest.mark.parametrize("dialect", ["vllm", "aiperf", "guidellm", "mlperf"])
def test_every_figure_that_is_off_is_told(path: Path, dialect: str) -> None:
    """A figure of the same name that is more than half a percent off is named with both values."""
    session = fold_recording(path).session
    told = "\n".join(explain(session, dialect))
    for own, other in zip(figures(session, "llamatop"), figures(session, dialect), strict=True):
        for name, spread in other.latencies.items():
            mine = own.latencies.get(name)
            for part in ("mean", "p50", "p99") if mine and spread else ():
                off = getattr(spread, part) / getattr(mine, part) - 1
                if abs(off) > 0.005:
                    assert f"{name.upper()} {part} at concurrency" in told
