"""Comparisons and recommendations for a terminal: plain tables. Computes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.reports.compare import Comparison
from llamatop.reports.recommend import Recommendation
from llamatop.reports.runs import short
from llamatop.reports.slices import Whole
from llamatop.reports.verdicts import DECIDED, MEMORY, Difference
from llamatop.text.cells import cells, padded
from llamatop.text.formatting import UNKNOWN, duration, minus, number, size

KEY = ("output_tok_s", "ttft_s.p50", "tpot_s.p50", "e2e_s.mean", *MEMORY)
"""The figures that are told of every level; the others where a difference is shown."""


WIDE = 2.0
"""An interval as wide as this (200 %) tells only that there was too little to judge by."""


LONGEST_NOTE = 45
"""Characters of a reason in a row; a longer one is what a level had of the machine, told above."""


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, its columns as wide as they need, two blanks apart."""
    table = [list(head), *[list(row) for row in rows]]
    widths = [max(cells(row[i]) for row in table) for i in range(len(head))]
    return "\n".join(
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def comparison_text(comparison: Comparison) -> str:
    """One comparison: the verdict first, then the set-up, what is unfair, the figures."""
    parts = [_answer(comparison), _setup(comparison)]
    if comparison.warnings:
        parts.append("\n".join(f"careful: {warning}" for warning in comparison.warnings))
    if comparison.overall:
        levels = {one.concurrency for one in comparison.levels}
        title = "all levels together (geometric means)" if len(levels) > 1 else "the level"
        parts.append(f"{title}\n{_figures(comparison.overall)}")
        if len(levels) > 1:
            parts += [_level(comparison, level) for level in sorted(levels, key=lambda c: c or 0)]
    return "\n\n".join(parts)


def _answer(comparison: Comparison) -> str:
    """What was asked in one line, what the verdict cannot know, and who is who."""
    lines = [f"{_apart(comparison.setup)}{minus(comparison.verdict)}"]
    if comparison.caveat:
        lines.append(minus(comparison.caveat))
    lines.append(f"baseline {comparison.baseline}, against it {comparison.other}")
    return "\n".join(lines)


def _apart(setup: Sequence[tuple[str, list[str | None]]]) -> str:
    """What sets the sides apart where it is one fact, as `engine threads against batch: `."""
    if len(setup) != 1:
        return "verdict: "
    name, values = setup[0]
    baseline, other = (short(value or UNKNOWN) for value in values)
    return f"{name} {other} against {baseline}: "


def whole_text(levels: Sequence[Whole]) -> str:
    """The whole model, as its two slices foretell it."""
    rows = [
        [
            str(level.concurrency),
            UNKNOWN if level.output_tok_s is None else f"{number(level.output_tok_s)} tok/s",
            duration(level.ttft_s),
            duration(level.tpot_s),
            size(None if level.peak_bytes is None else round(level.peak_bytes)),
        ]
        for level in levels
    ]
    title = f"all {levels[0].layers} layers, on a line through the two slices; nobody ran them"
    head = ("concurrency", "throughput", "TTFT p50", "TPOT p50", "peak memory")
    return f"{title}\n{columns(head, rows)}"


def _setup(comparison: Comparison) -> str:
    if not comparison.setup:
        return "set-up: the same"
    rows = [
        [name, *(short(value or UNKNOWN) for value in values)] for name, values in comparison.setup
    ]
    return columns(["set-up", "baseline", "other"], rows)


def _level(comparison: Comparison, concurrency: int | None) -> str:
    told = [
        one
        for one in comparison.levels
        if one.concurrency == concurrency and (one.metric in KEY or one.verdict in DECIDED)
    ]
    return f"concurrency {concurrency}\n{_figures(told)}"


def _figures(differences: Sequence[Difference]) -> str:
    head = ["figure", "baseline", "other", "change", "between", "verdict"]
    return columns(head, [difference_cells(one) for one in differences])


def difference_cells(one: Difference) -> list[str]:
    """A difference as texts: figure, both values, change, interval, verdict."""
    between = one.note or "too few requests"
    if len(between) > LONGEST_NOTE:
        between = "disturbed, see careful"
    if one.low is not None and one.high is not None and tells(one):
        between = f"{percent(one.low)} … {percent(one.high)}"
    return [
        one.metric,
        value(one.metric, one.baseline),
        value(one.metric, one.other),
        percent(one.change),
        between,
        one.verdict,
    ]


def tells(one: Difference) -> bool:
    """Whether a difference has an interval that tells anything."""
    if one.low is None or one.high is None:
        return False
    return one.high - one.low < WIDE or one.verdict in DECIDED


def value(metric: str, figure: float | None) -> str:
    """A figure in the unit that its name tells."""
    if figure is None:
        return UNKNOWN
    if metric in MEMORY:
        return size(figure)
    return duration(figure) if "_s." in metric else number(figure)


def percent(change: float | None) -> str:
    """A change as `+1.2 %`, `+123 %`; beyond a thousand percent only that it is large."""
    if change is None:
        return UNKNOWN
    if change > 10:
        return "> +1000 %"
    if change >= 0.9995:
        return f"{change * 100:+.0f} %"
    return minus(f"{change * 100:+.1f} %") if round(change * 100, 1) else "0.0 %"


def recommendation_text(one: Recommendation) -> str:
    """One recommendation: the setting, the command, the reasons."""
    what = f"concurrency {one.concurrency} of {one.run}"
    lines = [f"for {one.goal}: {'no answer yet' if one.concurrency is None else what}"]
    lines += [f"  {one.command}"] if one.command else []
    return "\n".join(lines + [f"  - {reason}" for reason in one.reasons])
