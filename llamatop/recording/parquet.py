"""A recording's Parquet file: written row group by row group, read only if it can be trusted.

Knows columns and facts, not events.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.exceptions import PanicException, PolarsError
from polars.io.plugins import register_io_source

from llamatop.errors import InputError
from llamatop.events.sanitize import one_line
from llamatop.recording import checks
from llamatop.recording.files import shown, why
from llamatop.recording.schema import COLUMNS, SCHEMA_VERSION
from llamatop.recording.seal import BLANK, CHECKSUM, seal

ROW_GROUP = 1 << 17
"""Rows that are written, compared and read at a time."""

_NAMESPACE = "llamatop."


@dataclass(frozen=True)
class Table:
    """A file whose bytes were verified as far as they can be, and are not yet decoded."""

    path: Path
    facts: dict[str, str]
    """Of the run, by name."""
    height: int
    """Rows that it claims to have."""
    sealed: bool
    """Whether a checksum vouches for it; a file that another tool wrote has none."""
    data: bytes = field(repr=False)

    def parts(self, text: bool = True) -> Iterator[pl.DataFrame]:
        """All rows in order with the types of `COLUMNS`, at most `ROW_GROUP` at a time.

        A value that does not fit its column is null, and so is every `text` that is not asked
        for. Raises InputError where decoding fails.
        """
        try:
            rows = pl.scan_parquet(io.BytesIO(self.data), glob=False)
            rows = rows.select(
                pl.col(name).cast(kind, strict=False)
                if text or name != "text"
                else pl.lit(None, kind).alias(name)
                for name, kind in COLUMNS.items()
            )
            for start in range(0, self.height, ROW_GROUP):
                yield _small(rows.slice(start, ROW_GROUP).collect())
        except (PolarsError, PanicException, OSError, ValueError) as error:
            raise InputError(f"{shown(self.path)}: cannot be decoded: {why(error)}") from None


def _small(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows; ValueError where their texts, repeated by reference, would fill the memory."""
    texts = sum(rows[name].str.len_bytes().sum() for name in ("text", "payload"))
    if texts > checks.FLOOR:
        raise ValueError(f"its texts would take {texts:,} bytes")
    return rows


def open_table(path: Path) -> Table:
    """The verified file; InputError in one line where it cannot be trusted."""
    data = checks.read(path)
    claims = checks.footer(path, data)
    facts = {
        name.removeprefix(_NAMESPACE): one_line(value)
        for name, value in claims.metadata.items()
        if name.startswith(_NAMESPACE)
    }
    checks.check_version(path, facts.get("schema", str(SCHEMA_VERSION)))
    sealed = checks.check_seal(path, data, claims)
    checks.check_size(path, len(data), claims)
    checks.check_columns(path, claims)
    if not sealed:
        checks.rehearse(path, data)
    return Table(path, facts, claims.rows, sealed, data)


def write_table(file: BinaryIO, tables: Iterable[pl.DataFrame], facts: dict[str, str]) -> None:
    """Write tables as one file, a row group at a time, and seal it.

    `file` is new, and open for reading too. Raises OSError or polars' errors.
    """
    metadata = {_NAMESPACE + name: value for name, value in facts.items()}

    def source(*_: object) -> Iterator[pl.DataFrame]:
        return grouped(tables)

    with reasons(file):
        register_io_source(source, schema=COLUMNS).sink_parquet(
            file,
            compression="zstd",
            compression_level=3,
            row_group_size=ROW_GROUP,
            metadata={**metadata, CHECKSUM: BLANK},
        )
    seal(file)


@contextmanager
def reasons(file: BinaryIO) -> Iterator[None]:
    """OSError with the reason where polars cannot write to `file`, which it does not tell.

    What the file holds then is of no use: the same is tried again, by Python.
    """
    try:
        yield
    except PolarsError:
        file.write(bytes(1 << 20))
        file.flush()
        raise


def grouped(tables: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows, `ROW_GROUP` at a time, the rest (or nothing) at the end."""
    group, rows = [empty()], 0
    for table in tables:
        group.append(table)
        rows += table.height
        if rows >= ROW_GROUP:
            whole = pl.concat(group, rechunk=True)
            yield whole[:ROW_GROUP]
            group, rows = [whole[ROW_GROUP:]], rows - ROW_GROUP
    yield pl.concat(group, rechunk=True)


def empty() -> pl.DataFrame:
    """A table without rows."""
    return pl.DataFrame(schema=COLUMNS)
