"""Every figure of the samples, recomputed from the file with plain polars as in a notebook."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from llamatop.events.kinds import RunStarted
from llamatop.figures.levels import level_figures
from llamatop.recording.reader import fold_recording, open_recording
from llamatop.reports.summary import summary
from llamatop.run.replay import fold
from tests.reports.raw import RECORDINGS, gaps_of, levels_of, requests_of

PATHS = sorted(RECORDINGS.glob("*/*.parquet"))
SLO = {"ttft": 0.2, "tpot": 0.02, "e2e": 2.0}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def told(path: Path) -> list[dict[str, Any]]:
    levels = summary(fold_recording(path).session, None)["levels"]
    assert isinstance(levels, list)
    return levels


def assert_spread(found: dict[str, float | None], values: pl.Series) -> None:
    """Percentiles to the last digit; a mean may differ in the order of its sum."""
    if not len(values):
        assert set(found.values()) == {None}
        return
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert found[name] == pytest.approx(values.quantile(share, "linear"), rel=4e-16)
    assert found["mean"] == pytest.approx(math.fsum(values) / len(values), rel=0)


def of_level(table: pl.DataFrame, level: int) -> pl.DataFrame:
    return table.filter(pl.col("level") == level)


def test_counts_and_rates(path: Path) -> None:
    requests = requests_of(path)
    levels = levels_of(path)
    assert levels
    for level, found in zip(levels, told(path), strict=True):
        mine = of_level(requests, level["level"])
        done = mine.filter("done")
        assert found["concurrency"] == level["concurrency"]
        assert found["requests"] == mine.height
        assert found["completed"] == done.height
        failed = mine.filter(pl.col("end").is_in(["RequestFailed", "EngineLost"]))
        assert found["failed"] == failed.height
        assert found["prompt_tokens"] == mine["prompt"].sum()
        assert found["output_tokens"] == mine["tokens"].sum()
        if mine["last"].is_null().all():
            assert (found["duration_s"], found["output_tok_s"], found["request_s"]) == (None,) * 3
            continue
        seconds = (mine["last"].max() - mine["queued"].min()) / 1e9  # type: ignore[operator]
        assert found["duration_s"] == seconds
        assert found["output_tok_s"] == mine["tokens"].sum() / seconds
        assert found["request_s"] == done.height / seconds


def test_latencies(path: Path) -> None:
    requests, gaps = requests_of(path).filter("done"), gaps_of(path)
    for level, found in zip(levels_of(path), told(path), strict=True):
        mine = of_level(requests, level["level"])
        derived = mine.select(
            ttft=(pl.col("first") - pl.col("queued")) / 1e9,
            tpot=pl.when(pl.col("tokens") > 1).then(
                (pl.col("last") - pl.col("first")) / 1e9 / (pl.col("tokens") - 1)
            ),
            e2e=(pl.col("last") - pl.col("queued")) / 1e9,
        )
        for name in ("ttft", "tpot", "e2e"):
            assert_spread(found[f"{name}_s"], derived[name].drop_nulls())
        each = of_level(gaps, level["level"])
        assert_spread(found["itl_s"], each["gap"].repeat_by(each["times"]).explode().drop_nulls())


def test_throughput_while_all_slots_are_in_use(path: Path) -> None:
    """From the first to the last moment at which as many ran as the concurrency."""
    requests = requests_of(path)
    events = pl.read_parquet(path)
    for level, found in zip(levels_of(path), told(path), strict=True):
        mine = of_level(requests, level["level"])
        begins = mine.drop_nulls("admitted").select(time="admitted", change=pl.lit(1))
        ends = mine.drop_nulls("ended").select(time="ended", change=pl.lit(-1))
        running = pl.concat([begins, ends]).sort("time", "change")
        running = running.with_columns(after=pl.col("change").cum_sum())
        before = pl.col("after") - pl.col("change")
        full = running.filter(
            (pl.col("after") == level["concurrency"]) | (before == level["concurrency"])
        )["time"]
        if len(full) < 2 or full.max() == full.min():
            assert found["steady_output_tok_s"] is None
            continue
        emitted = events.filter(pl.col("kind") == "TokensEmitted").join(
            mine.select("request"), "request"
        )
        inside = emitted.filter(pl.col("time_ns").is_between(full.min(), full.max(), "right"))
        seconds = full.max() - full.min()  # type: ignore[operator]
        expected = inside["count"].sum() * 1_000_000_000 / seconds
        assert found["steady_output_tok_s"] == pytest.approx(expected, rel=4e-16)


def test_the_steady_part_is_what_completed_in_it(path: Path) -> None:
    """Its mean: the tokens of the windows from its start on, over their time."""
    requests = requests_of(path)
    for level, found in zip(levels_of(path), told(path), strict=True):
        mine = of_level(requests, level["level"])
        if found["steady_from_s"] is None:
            continue
        begin = mine["queued"].min()
        done = mine.filter("done").sort("ended", "tokens")
        size = level["concurrency"]
        ends = done["ended"].gather_every(size, size - 1)
        start = begin + round(found["steady_from_s"] * 1e9)  # type: ignore[operator]
        inside = done.filter(pl.col("ended") > start)
        possible = []
        for end in ends.filter(ends > start):
            tokens = inside.filter(pl.col("ended") <= end)["tokens"].sum()
            possible.append(tokens / ((end - start) / 1e9))
        assert found["steady_tok_s"]["mean"] == pytest.approx(possible[-1], rel=1e-12)
        interval = found["steady_tok_s"]
        assert interval["low"] < interval["mean"] < interval["high"]


def test_goodput(path: Path) -> None:
    """With targets that some requests of the samples keep and others do not."""
    events = [
        msgspec.structs.replace(event, config=msgspec.structs.replace(event.config, slo=SLO))
        if isinstance(event, RunStarted)
        else event
        for event in open_recording(path).events
    ]
    session = fold(events)
    requests = requests_of(path)
    for level in session.levels.values():
        mine = of_level(requests, level.id)
        kept = mine.filter(
            "done",
            (pl.col("first") - pl.col("queued")) / 1e9 <= SLO["ttft"],
            (pl.col("last") - pl.col("first")) / 1e9 / (pl.col("tokens") - 1) <= SLO["tpot"],
            (pl.col("last") - pl.col("queued")) / 1e9 <= SLO["e2e"],
        )
        found = level_figures(session, level)
        if found.duration is None:
            assert found.goodput is None
        else:
            assert found.goodput == kept.height / found.duration
