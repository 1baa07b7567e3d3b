"""MLPerf LoadGen's summary as a table of one row."""

from __future__ import annotations

from pathlib import Path

from llamatop.errors import InputError
from llamatop.imports.headlines import spread
from llamatop.imports.loadgen_summary import summary_of
from llamatop.recording.tables import Row, Table


def read(path: Path, data: bytes) -> Table:
    """The row; InputError where the summary holds no figure."""
    told = summary_of(data)
    figures = spread(told.figures)
    if not figures:
        raise InputError(f"{path.name}: holds no figure; LoadGen may have been cut off")
    row = Row(name=told.scenario or "unknown scenario", concurrency=1, figures=figures)
    notes = ["LoadGen says no concurrency: the row stands at 1", *told.notes]
    return Table(tool="MLPerf LoadGen", file=path.name, rows=[row], model=told.sut, notes=notes)
