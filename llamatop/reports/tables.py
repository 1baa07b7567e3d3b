"""A table of another tool's figures as a run that stands beside recordings: no times, no requests.

Where a table does not tell a figure it is NaN within a `Distribution`, and unknown to whoever asks.
"""

from __future__ import annotations

import math
from pathlib import Path

from llamatop.events.kinds import HostFacts, RunEnded, RunImported, RunStarted
from llamatop.events.sanitize import one_line
from llamatop.figures.levels import LevelFigures
from llamatop.figures.stats import Distribution
from llamatop.recording.tables import Row, Table
from llamatop.reports.runs import Run
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.settings.config import RunConfig

_NOBODY = HostFacts(system="", cpu="", cores=None, memory_bytes=None, python="")


def run_of_table(table: Table, name: str, path: str | None = None) -> Run:
    """The run: a level a row, in the order of the rows."""
    session = Session()
    at_once = tuple(row.concurrency for row in table.rows)
    config = RunConfig(model=table.model or "unknown model", engine="server", concurrency=at_once)
    session.started = RunStarted(0, config, _NOBODY, "", "")
    session.imported = RunImported(
        time=0, tool=table.tool, title=table.tool, version=table.version, file=table.file,
        clock="no times: a table of the tool's own figures", notes=tuple(table.notes),
    )  # fmt: skip
    session.levels = {
        place: Level(place, row.concurrency, row.requests, 0, 0, "ok")
        for place, row in enumerate(table.rows)
    }
    session.ended = RunEnded(0, "ok")
    figures = [_figures(place, row) for place, row in enumerate(table.rows)]
    samples = [row.samples for row in table.rows]
    return Run(one_line(name), session, path, told=figures, samples=samples)


def stem(path: Path) -> str:
    """The name of a table's file without its endings."""
    return path.name.removesuffix(".json").removesuffix(".table")


def _figures(place: int, row: Row) -> LevelFigures:
    told = row.figures
    host = told.get("peak_memory.host_bytes")
    return LevelFigures(
        level=place,
        concurrency=row.concurrency,
        outcome="ok",
        error="",
        requests=row.requests or 0,
        completed=row.completed or 0,
        failed=row.failed or 0,
        cancelled=0,
        prompt_tokens=None,
        output_tokens=None,
        duration=None,
        output_rate=told.get("output_tok_s"),
        steady_rate=None,
        steady=None,
        ended_by="",
        request_rate=told.get("request_s"),
        goodput=None,
        judged=None,
        turns=(),
        cached_prompt_tokens=None,
        asked_rate=None,
        real_rate=None,
        most_at_once=None,
        ttft=_spread("ttft_s", told),
        tpot=_spread("tpot_s", told),
        itl=_spread("itl_s", told),
        e2e=_spread("e2e_s", told),
        queue=None,
        coalesced=0,
        host_peak_bytes=None if host is None else round(host),
        device_peak_bytes=None,
        baseline_bytes=None,
        predicted_host_bytes=None,
        predicted_device_bytes=None,
        mbu=None,
        mfu=None,
        joules_per_token=None,
        held_back_by=None,
        memory_ended_in=None,
    )


def _spread(name: str, told: dict[str, float]) -> Distribution | None:
    """What is told of a latency; None where nothing is."""
    parts = {part: told.get(f"{name}.{part}", math.nan) for part in ("mean", "p50", "p90", "p99")}
    if all(map(math.isnan, parts.values())):
        return None
    return Distribution(count=0, low=math.nan, high=math.nan, **parts)
