"""Several runs of one plan in a few lines: what each level gave, and how far the runs spread."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.reports.candidates import candidates
from llamatop.reports.runs import Run
from llamatop.text.formatting import duration, number


def repeated_text(runs: Sequence[Run]) -> str:
    """A line a level, with 95 % intervals of what varies between runs; empty: none is whole."""
    lines = []
    for one in sorted(candidates(runs), key=lambda one: one.figures.concurrency):
        rate, first = one.value("output_tok_s"), one.value("ttft_s.p50")
        between = one.interval("output_tok_s")
        told = "" if between is None else f" ({number(between[0])} to {number(between[1])})"
        lines.append(
            f"  concurrency {one.figures.concurrency}: {number(rate)} tok/s{told}, "
            f"TTFT p50 {duration(first)}, of {len(one.runs)} runs"
        )
    return "\n".join(["over all runs", *lines]) if lines else ""
