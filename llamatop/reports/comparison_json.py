"""Comparisons as one JSON object (`schema` 1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from llamatop.reports.compare import CONFIDENCE, Comparison
from llamatop.reports.gate import Verdict
from llamatop.reports.slices import Whole


def comparison_json(
    comparisons: Sequence[Comparison], wholes: Sequence[list[Whole]], verdicts: Sequence[Verdict]
) -> str:
    """Changes and intervals are shares of the baseline: -0.05 is 5 % less.

    `whole` is empty but for two slices of one model.
    """
    told = {
        "schema": 1,
        "baseline": comparisons[0].baseline,
        "confidence": CONFIDENCE,
        "comparisons": comparisons_json(comparisons, wholes),
        "fail_if": [asdict(verdict) for verdict in verdicts],
    }
    return json.dumps(told, indent=1)


def comparisons_json(
    comparisons: Sequence[Comparison], wholes: Sequence[list[Whole]]
) -> list[dict[str, object]]:
    """One object for each of them."""
    pairs = zip(comparisons, wholes, strict=True)
    return [_one(comparison, levels) for comparison, levels in pairs]


def _one(comparison: Comparison, levels: list[Whole]) -> dict[str, object]:
    return {
        "run": comparison.other,
        "verdict": comparison.verdict,
        "setup": [
            {"name": name, "baseline": values[0], "other": values[1]}
            for name, values in comparison.setup
        ],
        "warnings": comparison.warnings,
        "overall": [asdict(one) for one in comparison.overall],
        "levels": [asdict(one) for one in comparison.levels],
        "whole": [asdict(level) for level in levels],
    }
