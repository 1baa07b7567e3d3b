"""Comparisons of the recordings that ship: real machines, real moods."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.events.kinds import Event
from llamatop.recording.reader import open_recording
from llamatop.reports.apart import values_of
from llamatop.reports.compare import Comparison, compare
from llamatop.reports.runs import run_of
from llamatop.reports.verdicts import DECIDED, SAME, UNDECIDED
from llamatop.run.replay import fold
from tests.reports.raw import RECORDINGS
from tests.reports.samples import drawn_again, stretched

PATHS = sorted(RECORDINGS.glob("*/*.parquet"))
ENOUGH = {
    "llama-3.1-8b-batch-h100", "opt-1.3b-batch",
    "llama-4-scout-1-layer-batch", "llama-4-scout-2-layers-batch",
}  # fmt: skip
"""Those with waves enough at every level to tell 10 percent; one run of a processor is none."""


ON_A_PROCESSOR = ("demo-sweep-cpu", "engine-killed-cpu")


@pytest.mark.parametrize("stem", ON_A_PROCESSOR)
def test_one_run_of_a_processor_shows_what_is_twice_and_names_the_runs_for_less(stem: str) -> None:
    events = told(RECORDINGS / "samples" / f"{stem}.parquet")
    run = run_of(fold(events))
    tenth, twice = (compare(run, run_of(fold(stretched(events, by)))) for by in (1.1, 2.2))
    assert tenth.overall[0].verdict == UNDECIDED
    assert tenth.overall[0].note.startswith("--runs ")
    assert twice.overall[0].verdict == "slower"


def told(path: Path) -> list[Event]:
    return list(open_recording(path).events)


def shown(comparison: Comparison) -> list[str]:
    every = comparison.overall + comparison.levels
    return [one.metric for one in every if one.verdict in DECIDED]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_with_itself_no_metric_differs(path: Path) -> None:
    run = run_of(fold(told(path)))
    comparison = compare(run, run)
    assert comparison.verdict.startswith((SAME, UNDECIDED))
    assert shown(comparison) == []
    measured = {name for name, value in values_of(run.figures[0]).items() if value is not None}
    assert measured <= {one.metric for one in comparison.levels}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_ten_percent_slower_is_found_or_there_was_too_little(path: Path) -> None:
    events = told(path)
    comparison = compare(run_of(fold(events)), run_of(fold(stretched(events, 1.1))))
    (rate,) = (one for one in comparison.overall if one.metric == "output_tok_s")
    if path.stem in ENOUGH:
        assert rate.verdict == "slower"
        assert rate.change == pytest.approx(1 / 1.1 - 1, rel=1e-6)
        assert rate.low is not None and rate.high is not None
        assert rate.low < 1 / 1.1 - 1 < rate.high
    else:
        wide = rate.low is not None and rate.high is not None and rate.high - rate.low > 0.1
        assert rate.verdict == UNDECIDED or wide or not rate.note
    verdicts = {one.verdict for one in comparison.overall + comparison.levels}
    assert verdicts <= {SAME, UNDECIDED, "slower"}


def test_the_pair_that_ships_is_decided() -> None:
    """A static batch against continuous batching, 4 waves a level: throughput is another, and at 64
    the first token came sooner."""
    names = ("samples/llama-3.1-8b-batch-h100", "h100/llama-3.1-8b-continuous")
    one, other = (run_of(fold(told(RECORDINGS / f"{name}.parquet"))) for name in names)
    found = {(d.metric, d.concurrency): d for d in compare(one, other).levels}
    for level in (8, 64, 256):
        assert found["output_tok_s", level].verdict == "slower"
    assert found["output_tok_s", 1].verdict in ("slower", UNDECIDED)
    assert found["ttft_s.p50", 64].verdict != "slower"
    bounds = [b for d in found.values() for b in (d.low, d.high) if b is not None]
    assert max(bounds) < 120, "an interval that tells nothing is none"


@pytest.mark.slow
def test_resampled_in_two_shows_no_difference() -> None:
    """A real sweep's waves, drawn again twice: a hundred times, five false alarms at most."""
    base = fold(told(RECORDINGS / "samples" / "demo-sweep-cpu.parquet"))
    base.levels = {id: level for id, level in base.levels.items() if level.concurrency in (4, 8)}
    alarms = [
        seed
        for seed in range(100)
        if shown(
            compare(
                run_of(drawn_again(base, 2 * seed, waves=True)),
                run_of(drawn_again(base, 2 * seed + 1, waves=True)),
                seed,
            )
        )
    ]
    assert len(alarms) <= 5
