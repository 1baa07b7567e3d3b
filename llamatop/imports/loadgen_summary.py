"""MLPerf LoadGen's `mlperf_log_summary.txt`: lines of a name, a colon and a value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"^\s*([^:]{2,80}?)\s*:\s*(\S.*?)\s*$")

_RATES = {
    "Completed samples per second": "request_s",
    "Samples per second": "request_s",
    "Completed tokens per second": "output_tok_s",
    "Tokens per second": "output_tok_s",
}
_SPREADS = {
    "latency": "e2e_s",
    "First Token latency": "ttft_s",
    "first token latency": "ttft_s",
    "Time per Output Token": "tpot_s",
    "time to output token": "tpot_s",
}
_SPREAD = re.compile(r"(Mean|50\.00 percentile|90\.00 percentile|99\.00 percentile) (.+) \(ns\)")
_PARTS = {"Mean": "mean", "50": "p50", "90": "p90", "99": "p99"}

LONGEST = 1e12
"""A mean of so many ns (17 minutes) is an error of LoadGen's."""


@dataclass
class Summary:
    """What it says; figures by llamatop's names, seconds."""

    scenario: str = ""
    sut: str | None = None
    result: str = ""
    figures: dict[str, float | None] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    """Parameters that are numbers."""
    notes: list[str] = field(default_factory=list)


def summary_of(data: bytes) -> Summary:
    """The summary; what it does not hold is left as it is."""
    told = Summary()
    for line in data.decode(errors="replace").splitlines():
        if found := _LINE.match(line):
            _take(told, found[1], found[2])
    if told.result and told.result != "VALID":
        told.notes.append(f"LoadGen calls the result {told.result}")
    odd = [name for name, value in told.figures.items() if _odd(name, value)]
    if odd:
        told.notes.append(
            f"LoadGen's {', '.join(odd)} cannot be: a sample was reported with no tokens"
        )
    for name in odd:
        del told.figures[name]
    return told


def _odd(name: str, value: float | None) -> bool:
    return value is not None and "_s." in name and not 0 <= value < LONGEST / 1e9


def _take(told: Summary, name: str, value: str) -> None:
    if name == "Scenario":
        told.scenario = value
    elif name == "SUT name":
        told.sut = value
    elif name == "Result is":
        told.result = value
    elif name in _RATES:
        told.figures.setdefault(_RATES[name], _number(value))
    elif spread := _SPREAD.fullmatch(name):
        number, what = _number(value), _SPREADS.get(spread[2])
        if what is not None and number is not None:
            part = _PARTS[spread[1].partition(".")[0]]
            told.figures.setdefault(f"{what}.{part}", number / 1e9)
    elif (number := _number(value)) is not None and re.fullmatch(r"\w+(?: \(\w+\))?", name):
        told.asked[name] = number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
