"""A table of another tool's figures, kept as `NAME.table.json`: what no timeline can be made of.

Figures have the summary's names (`output_tok_s`, `ttft_s.p50`) where they mean the same, in
seconds, tokens and bytes, and are that tool's own. Knows no tool.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.recording.files import shown, why

ENDING = ".table.json"

KIND = "llamatop.table"

LARGEST = 256 << 20


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the tool: at one load, of one kind."""

    name: str
    concurrency: int
    figures: dict[str, float]
    samples: dict[str, list[float]] = {}
    """What a figure was made of, by its name without a percentile; not of every figure."""
    requests: int | None = None
    completed: int | None = None
    failed: int | None = None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of a tool told, with the traps that apply to it."""

    tool: str
    file: str
    """Its name, without a folder."""
    rows: list[Row]
    version: str | None = None
    model: str | None = None
    notes: list[str] = []
    kind: str = KIND
    schema: int = 1


def write_table_file(path: Path, table: Table) -> None:
    """Write a table whole or not at all; InputError where it cannot be, or is there already."""
    if os.path.lexists(path):
        raise InputError(f"{shown(path)} exists already; choose another folder, or remove it")
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            told = msgspec.json.format(msgspec.json.encode(table), indent=1)
            temporary.write_bytes(told + b"\n")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {why(error)}") from None


def read_table(path: Path) -> Table:
    """A table that was written so; InputError where it is none."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{shown(path)}: larger than any table")
        table = msgspec.json.decode(path.read_bytes(), type=Table)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {why(error)}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{shown(path)}: is no table of llamatop: {why(error)}") from None
    if table.kind != KIND or table.schema != 1:
        raise InputError(f"{shown(path)}: is no table that this version reads")
    if any(not -(2**63) < value < 2**63 for row in table.rows for value in row.figures.values()):
        raise InputError(f"{shown(path)}: a figure in it is beyond all measure")
    return table
