"""Recordings that are whole, and whose numbers no run can have had.

`tests/data/recordings` has files of that kind, made from a recording of our own.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.errors import InputError
from llamatop.events.kinds import (
    MOST_TOKENS,
    DeviceSampled,
    EngineLost,
    Event,
    HostSampled,
    LevelStarted,
    MachineMeasured,
    RequestQueued,
)
from llamatop.recording.bounds import LATEST, fits, misfits
from llamatop.recording.parquet import write_table
from llamatop.recording.reader import fold_recording, open_recording
from llamatop.recording.schema import table_of
from llamatop.reports.summary import summary
from tests.examples import share
from tests.recording import runs

ABSURD = Path(__file__).parents[1] / "data" / "recordings"
EVENTS = runs.without_text(runs.run())


def sealed(path: Path, change: Any) -> Path:
    """A whole file of our own run, with its table changed."""
    with path.open("w+b") as file:
        write_table(file, [change(table_of(EVENTS, False))], {"schema": "1"})
    return path


@pytest.mark.parametrize(
    "event",
    [
        LevelStarted(0, 0, -1, None),
        LevelStarted(0, 0, 0, None),
        RequestQueued(0, 1, 0, -5, 8),
        RequestQueued(LATEST + 1, 1, 0, 5, 8),
        MachineMeasured(0, "cpu", "float32", math.nan, 1e9),
        MachineMeasured(0, "cpu", "float32", -1.0, 1e9),
        HostSampled(0, 10**30, None, None),
        HostSampled(0, 1, 1, 1, cpu_percent=(10.0, math.inf)),
    ],
)
def test_what_cannot_have_been_measured_fits_no_event(event: Event) -> None:
    assert not fits(event)


@pytest.mark.parametrize(
    "event",
    [
        EngineLost(5, -9, "SIGKILL"),
        DeviceSampled(0, 0, "cold", temperature=-40.0),
        HostSampled(0, None, None, None),
    ],
)
def test_what_is_rare_but_true_fits(event: Event) -> None:
    assert fits(event)


@share(5)
@given(st.lists(runs.any_event, max_size=12))
def test_asked_together_they_are_asked_as_one_by_one(events: list[Event]) -> None:
    together = [*EVENTS, *events]
    alone = [place for place, event in enumerate(together) if not fits(event)]
    assert sorted(misfits(dict(enumerate(together)))) == alone


def test_every_event_of_a_run_fits() -> None:
    assert all(fits(event) for event in EVENTS)


@pytest.mark.parametrize("factor", [-1, 10**9])
def test_times_of_no_run_are_refused_in_one_line(tmp_path: Path, factor: int) -> None:
    later = pl.col("time_ns") * factor + (LATEST + 1 if factor > 0 else -1)
    path = sealed(tmp_path / "r.parquet", lambda table: table.with_columns(later))
    with pytest.raises(InputError, match=r"its numbers are those of no run: .*: 1?[0-9,]+$"):
        fold_recording(path)


def test_times_that_run_backwards_give_no_negative_latency(tmp_path: Path) -> None:
    path = sealed(
        tmp_path / "r.parquet",
        lambda table: table.with_columns(pl.col("time_ns").max() - pl.col("time_ns")),
    )
    folded = fold_recording(path)
    assert not folded.complete
    assert "rows that fit no event were left out" in folded.notices[-1]
    assert not _negative(summary(folded.session, None))


def test_one_request_whose_times_run_backwards_is_told_of_and_the_rest_holds(
    tmp_path: Path,
) -> None:
    first = pl.col("request") == pl.col("request").min()
    time = pl.when(first & (pl.col("kind") != "RequestQueued")).then(-pl.col("time_ns"))
    moved = (time.otherwise(pl.col("time_ns")) + 10**12).alias("time_ns")
    folded = fold_recording(sealed(tmp_path / "r.parquet", lambda t: t.with_columns(moved)))
    assert not folded.complete
    assert not _negative(summary(folded.session, None))
    whole = fold_recording(sealed(tmp_path / "w.parquet", lambda t: t))
    ours, theirs = (
        [one.tokens for one in found.session.requests.values()] for found in (folded, whole)
    )
    assert ours[1:] == theirs[1:]


def test_more_tokens_than_the_events_can_stand_for_are_refused(tmp_path: Path) -> None:
    emitted = pl.col("kind") == "TokensEmitted"
    count = pl.when(emitted).then(MOST_TOKENS).cast(pl.Int32).alias("count")
    path = sealed(tmp_path / "r.parquet", lambda table: table.with_columns(count))
    with pytest.raises(InputError, match=r"events claim [0-9,]+ tokens$"):
        open_recording(path)


@pytest.mark.parametrize("name", sorted(path.name for path in ABSURD.glob("*.parquet")))
def test_absurd_files_are_left_out_or_refused_in_bounded_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes((ABSURD / name).read_bytes())
    for command in (["replay", "--json"], ["plot", "--terminal"]):
        done = subprocess.run(
            [sys.executable, "-m", "llamatop", command[0], str(path), command[1]],
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30)),
            check=False,
        )
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr
        if done.returncode == 0 and command[0] == "replay":
            told = json.loads(done.stdout)
            assert not told["complete"]
            assert not _negative(told)


def _negative(told: object) -> bool:
    match told:
        case dict():
            return any(_negative(value) for name, value in told.items() if name != "change")
        case list():
            return any(map(_negative, told))
        case bool() | None | str():
            return False
        case int() | float():
            return not told >= 0
    return False
