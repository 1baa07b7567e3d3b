"""MLPerf LoadGen's `mlperf_log_trace.json`, with summary and detail beside it.

The trace is no JSON (`"key":""…""`), so it is read line by line. It has when a sample was due, was
issued and completed, in some scenarios its first token, and never its tokens.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

from llamatop.errors import InputError
from llamatop.imports.headlines import spread
from llamatop.imports.loadgen_summary import Summary, summary_of
from llamatop.imports.reading import read as read_bytes
from llamatop.imports.told import Run, Stretch, Told, nanoseconds, utc

_BEGIN = re.compile(
    r'\{"name":"(Sample|Token)",[^{}]*"ph":"b",[^{}]*"id":(\d{1,18}),"ts":(-?[\d.]{1,30}),'
    r'"args":\{[^{}]*"issue_start_ns":(-?\d{1,18}),"complete_ns":(-?\d{1,18})\}'
)
_ANCHOR = re.compile(rb'"otherData":\s*\{\s*"ts":\s*(\d{1,20}(?:\.\d{1,9})?)')
_VERSION = re.compile(rb'"key": "loadgen_version", "value": "([\w.\-]{1,40})')


def read(path: Path, data: bytes, keep_text: bool = False) -> Run:
    """The run; InputError where the file is not what it seems."""
    samples: dict[str, tuple[int, int, int]] = {}
    firsts: dict[str, int] = {}
    for line in data.decode(errors="replace").splitlines():
        if found := _BEGIN.match(line):
            due = _ns(found[3])
            if found[1] == "Sample":
                samples[found[2]] = due, due + int(found[4]), due + int(found[5])
            else:
                firsts[found[2]] = due + int(found[5])
    if not samples:
        raise InputError(f"{path.name}: holds no sample")
    anchor = _ANCHOR.search(data)
    started = min(due for due, _, _ in samples.values())
    summary = _beside(path.with_name("mlperf_log_summary.txt"))
    requests = [_told(*times, firsts.get(id)) for id, times in samples.items()]
    alone = summary.scenario in ("SingleStream", "MultiStream")
    rate = summary.asked.get("target_qps") if summary.scenario == "Server" else None
    return Run(
        "mlperf", "MLPerf LoadGen", path.name,
        "times are LoadGen's own clock in ns, tied to the time of day by its trace",
        [Stretch(requests, 1 if alone else None, spread(summary.figures))],
        _version(path.with_name("mlperf_log_detail.txt")), summary.sut,
        _utc(anchor[1].decode(), started) if anchor else "", rate,
        _notes(firsts, summary, anchor is not None),
    )  # fmt: skip


def _told(due: int, issued: int, complete: int, first: int | None) -> Told:
    told = Told(issued, complete, min(due, issued), rest_at=complete)
    if first is not None and first <= complete:
        told.chunks = [first]
    return told


def _ns(microseconds: str) -> int:
    """Microseconds with three decimals, exactly."""
    try:
        return nanoseconds(int(Decimal(microseconds) * 1000), "ts")
    except (InvalidOperation, ValueError):
        raise InputError(f"ts {microseconds!r} is no time") from None


def _utc(anchor: str, started: int) -> str:
    """The time of day at which the first sample was due; empty where it is none."""
    try:
        return utc(int(Decimal(anchor) * 1000) + started)
    except (ValueError, InvalidOperation):
        return ""


def _beside(path: Path) -> Summary:
    return summary_of(read_bytes(path)) if path.is_file() else Summary()


def _version(path: Path) -> str | None:
    found = _VERSION.search(read_bytes(path)) if path.is_file() else None
    return found[1].decode() if found else None


def _notes(firsts: dict[str, int], summary: Summary, anchored: bool) -> list[str]:
    notes = ["tokens are not in the trace: no output throughput, TPOT or ITL"]
    if not firsts:
        notes.append("first tokens carry no id in this scenario: no TTFT")
    if not anchored:
        notes.append("the trace is cut off: what came after is lost")
    return [*notes, *summary.notes]
