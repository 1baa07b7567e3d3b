"""Several runs of one plan in a few lines: what each level gave, and how far the runs spread."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.levels import LevelFigures
from llamatop.reports.candidates import Candidate, candidates
from llamatop.reports.run_text import never_reached_text
from llamatop.reports.runs import Run
from llamatop.text.formatting import UNKNOWN, duration, number


def repeated_text(runs: Sequence[Run]) -> str:
    """A line a level, with 95 % intervals of what varies between runs; of a level that no run has
    whole, why."""
    whole = {one.figures.concurrency: _line(one, len(runs)) for one in candidates(runs)}
    every = {figures.concurrency: _why(runs, figures) for run in runs for figures in run.figures}
    lines = [f"  concurrency {level}: {told}" for level, told in sorted({**every, **whole}.items())]
    return "\n".join(["over all runs", *lines]) if lines else ""


def _line(one: Candidate, asked: int) -> str:
    low, high = one.interval("output_tok_s") or (None, None)
    return (
        f"{number(one.value('output_tok_s'))} tok/s ({number(low)} to {number(high)}), "
        f"TTFT p50 {duration(one.value('ttft_s.p50'))}, of {_of(len(one.runs), asked)}"
    )


def _of(whole: int, asked: int) -> str:
    if whole == asked:
        return f"{asked} runs"
    return f"{whole} of {asked} runs: the others did not carry this level to its end"


def _why(runs: Sequence[Run], figures: LevelFigures) -> str:
    """Why a level is in none of the runs as it was asked for."""
    missed = (
        never_reached_text(run.session, one)
        for run in runs
        for one in run.figures
        if one.concurrency == figures.concurrency
    )
    reason = next(filter(None, missed), "no run carried it to its end with every request complete")
    return f"{UNKNOWN} ({reason})"
