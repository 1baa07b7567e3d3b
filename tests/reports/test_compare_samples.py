"""Comparisons of the recordings that ship: real machines, real moods."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamatop.events.kinds import Event
from llamatop.recording.reader import open_recording
from llamatop.reports.apart import values_of
from llamatop.reports.compare import SAME, Comparison, compare
from llamatop.reports.runs import run_of
from llamatop.run.replay import fold
from tests.reports.raw import RECORDINGS
from tests.reports.samples import drawn_again, stretched

PATHS = sorted(RECORDINGS.glob("*/*.parquet"))
ENOUGH = {
    "demo-sweep-cpu", "engine-killed-cpu", "llama-3.1-8b-batch-h100", "opt-1.3b-batch",
    "llama-4-scout-1-layer-batch", "llama-4-scout-2-layers-batch",
}  # fmt: skip
"""Those with waves enough at every level to tell 10 percent."""


def told(path: Path) -> list[Event]:
    return list(open_recording(path).events)


def shown(comparison: Comparison) -> list[str]:
    every = comparison.overall + comparison.levels
    return [one.metric for one in every if one.verdict != SAME]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_with_itself_no_metric_differs(path: Path) -> None:
    run = run_of(fold(told(path)))
    comparison = compare(run, run)
    assert comparison.verdict == SAME
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
        assert rate.note.startswith(("too few", "not measured")) or wide
    verdicts = {one.verdict for one in comparison.overall + comparison.levels}
    assert verdicts <= {SAME, "slower"}


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
