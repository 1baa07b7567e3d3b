"""Conditions on a comparison, for CI: `output_tok_s<-5%`. Knows the differences, not how they come.

A condition holds by the difference that was measured, whether or not it could be chance; what is
measured in the baseline only (a level that ran out of memory) holds it too.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llamatop.errors import InputError
from llamatop.reports.compare import Comparison
from llamatop.reports.verdicts import DECIDED, Difference

_FORM = re.compile(
    r"\s*([a-z0-9_.]+)\s*(?:@\s*(\d+)\s*)?(<=|>=|<|>)\s*([+-]?\d+(?:\.\d+)?)\s*(%?)\s*"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition."""

    text: str
    metric: str
    concurrency: int | None
    """None: any level."""
    sign: str
    limit: float
    """A share of 1 where `relative`, else in the figure's own unit."""
    relative: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a condition in one comparison."""

    gate: str
    held: bool
    reason: str


def parse(text: str) -> Gate:
    """A condition such as `ttft_s.p99@8>+10%`; InputError where it is none."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise InputError(f'--fail-if "{text}": say it as "output_tok_s<-5%" or "ttft_s.p99@8>10%"')
    metric, level, sign, number, percent = match.groups()
    limit = float(number) / 100 if percent else float(number)
    return Gate(text.strip(), metric, int(level) if level else None, sign, limit, bool(percent))


def judge(gate: Gate, comparison: Comparison) -> Verdict:
    """Whether a condition holds at any level. InputError: no such figure or level here."""
    names = sorted({one.metric for one in comparison.levels})
    if not names:
        raise InputError(f'--fail-if "{gate.text}": the recordings share no concurrency')
    if gate.metric not in names:
        raise InputError(f'--fail-if "{gate.text}": no figure of that name; {", ".join(names)}')
    levels = [one for one in comparison.levels if one.metric == gate.metric]
    if gate.concurrency is not None:
        levels = [one for one in levels if one.concurrency == gate.concurrency]
        if not levels:
            raise InputError(f'--fail-if "{gate.text}": no such level in both recordings')
    held = [one for one in levels if _holds(gate, one)]
    shown = any(one.metric == gate.metric and one.verdict in DECIDED for one in comparison.overall)
    return Verdict(gate.text, bool(held), _reason(held or levels, shown))


def _holds(gate: Gate, difference: Difference) -> bool:
    if difference.baseline is not None and difference.other is None:
        return True
    if difference.baseline is None or difference.other is None:
        return False
    apart = difference.other - difference.baseline
    value = difference.change if gate.relative else apart
    return value is not None and _COMPARE[gate.sign](value, gate.limit)


def _reason(differences: Sequence[Difference], shown: bool) -> str:
    """The changes; what could be chance is marked, unless all levels together show it."""
    return "; ".join(_told(one, shown) for one in differences)


def _told(one: Difference, shown: bool) -> str:
    at = f"concurrency {one.concurrency}"
    if one.change is None:
        return f"{at}: not measured in both"
    chance = " (could be chance)" if one.verdict not in DECIDED and not shown and one.change else ""
    return f"{at}: {one.change:+.1%}{chance}"
