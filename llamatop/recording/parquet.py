"""A recording's Parquet file: written with a checksum over every byte, read only if that holds.

The checksum lies in the file's own metadata, where its digits count as zeros, so any tool can
read the file as it is. Knows columns and facts, not events.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl
from polars.exceptions import PanicException, PolarsError
from polars.io.plugins import register_io_source

from llamatop.errors import InputError
from llamatop.recording.files import shown, why
from llamatop.recording.footer import MAGIC, Footer, footer_of
from llamatop.recording.schema import COLUMNS, SCHEMA_VERSION
from llamatop.sanitize import one_line

ROW_GROUP = 1 << 17
"""Rows that are written, and compared, at a time."""

_NAMESPACE = "llamatop."
_CHECKSUM = "llamatop.checksum"
_DIGITS = 32
_BLANK = f"{0:020d}-{'0' * _DIGITS}"
"""A file's size in bytes and the checksum of its content, before they are known."""

_MARK = re.compile(rb"llamatop\.checksum\x18\x35(\d{20})-([0-9a-f]{32})")

_ROW_BYTES = 64
"""Memory of one row of `COLUMNS` beside its texts."""

_FLOOR, _PER_BYTE, _CEILING = 256 << 20, 1000, 4 << 30
"""Memory that any file may ask for, what each of its bytes adds, and what none may exceed."""


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

    def parts(self) -> Iterator[pl.DataFrame]:
        """All rows in order with the types of `COLUMNS`, at most `ROW_GROUP` at a time.

        A value that does not fit its column is null. Raises InputError where decoding fails.
        """
        try:
            rows = pl.scan_parquet(io.BytesIO(self.data), glob=False)
            rows = rows.select(pl.col(n).cast(t, strict=False) for n, t in COLUMNS.items())
            for start in range(0, self.height, ROW_GROUP):
                with nullcontext():
                    part = rows.slice(start, ROW_GROUP).collect()
                yield _small(part)
        except (PolarsError, PanicException, OSError, ValueError) as error:
            raise InputError(f"{shown(self.path)}: cannot be decoded: {why(error)}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off fd 2 what Rust prints there of a panic, before Python hears of it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _small(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows; ValueError where their texts, repeated by reference, would fill the memory."""
    texts = sum(rows[name].str.len_bytes().sum() for name in ("text", "payload"))
    if texts > _FLOOR:
        raise ValueError(f"its texts would take {texts:,} bytes")
    return rows


def write_table(file: BinaryIO, tables: Iterable[pl.DataFrame], facts: dict[str, str]) -> None:
    """Write tables as one file, a row group at a time, and seal it.

    `file` is new, and open for reading too. Raises OSError or polars' errors.
    """
    metadata = {_NAMESPACE + name: value for name, value in facts.items()}

    def source(*_: object) -> Iterator[pl.DataFrame]:
        return grouped(tables)

    register_io_source(source, schema=COLUMNS).sink_parquet(
        file,
        compression="zstd",
        compression_level=3,
        row_group_size=ROW_GROUP,
        metadata={**metadata, _CHECKSUM: _BLANK},
    )
    _seal(file)


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


def _seal(file: BinaryIO) -> None:
    """Fill in the file's size and checksum."""
    file.seek(0)
    data = file.read()
    mark = _MARK.search(data, footer_of(data).start)
    if mark is None:
        raise OSError("the file just written has no place for its checksum")
    file.seek(mark.start(1))
    file.write(f"{len(data):020d}-{_digest(data, mark.start(1))}".encode())
    file.flush()


def _digest(data: bytes, mark: int) -> str:
    """Checksum of a file whose own size and checksum, at `mark`, count as zeros."""
    view = memoryview(data)
    digest = hashlib.blake2b(view[:mark], digest_size=_DIGITS // 2)
    digest.update(_BLANK.encode())
    digest.update(view[mark + len(_BLANK) :])
    return digest.hexdigest()


def open_table(path: Path) -> Table:
    """The verified file; InputError in one line where it cannot be trusted."""
    data = _read(path)
    try:
        footer = footer_of(data)
    except ValueError as error:
        raise InputError(f"{shown(path)}: not a whole Parquet file: {error}") from None
    facts = _facts(path, footer)
    sealed = _is_sealed(path, data, footer)
    _check_size(path, len(data), footer)
    _check_columns(path, footer)
    return Table(path, facts, footer.rows, sealed, data)


def _read(path: Path) -> bytes:
    try:
        _check_file(path, path.stat())
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{shown(path)} is no recording: it is not a Parquet file")
            return MAGIC + file.read()
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such recording") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: cannot be read: {why(error)}") from None


def _check_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{shown(path)} is a folder; name one recording in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{shown(path)} is no recording: it is not a file")
    if not status.st_size:
        raise InputError(f"{shown(path)} is empty; nothing was recorded in it")
    if status.st_size > _CEILING:
        raise InputError(f"{shown(path)} is no recording: {status.st_size:,} bytes are too many")


def _facts(path: Path, footer: Footer) -> dict[str, str]:
    """The run's facts; InputError where a newer version wrote them."""
    facts = {
        name.removeprefix(_NAMESPACE): one_line(value)
        for name, value in footer.metadata.items()
        if name.startswith(_NAMESPACE)
    }
    check_version(path, facts.get("schema", str(SCHEMA_VERSION)))
    return facts


def check_version(path: Path, schema: str) -> None:
    """InputError where this version cannot read that schema."""
    if not (schema.isdecimal() and len(schema) < 10):
        raise InputError(f"{shown(path)} is damaged: its schema version is no number")
    if int(schema) > SCHEMA_VERSION:
        raise InputError(
            f"{shown(path)} was recorded by a newer llamatop (schema {int(schema)}, this one "
            f"reads {SCHEMA_VERSION}); upgrade llamatop to open it"
        )


def _is_sealed(path: Path, data: bytes, footer: Footer) -> bool:
    """Whether the checksum holds; False where it is absent or of another file's size."""
    mark = _MARK.search(data, footer.start)
    if mark is None or int(mark[1]) != len(data):
        return False
    if _digest(data, mark.start(1)) != mark[2].decode():
        raise InputError(f"{shown(path)} is damaged: its checksum does not match; use a copy")
    return True


def _check_size(path: Path, size: int, footer: Footer) -> None:
    """InputError where few bytes claim to be very many."""
    claimed = footer.bytes + footer.rows * _ROW_BYTES
    if not 0 <= claimed <= min(_FLOOR + _PER_BYTE * size, _CEILING):
        raise InputError(
            f"{shown(path)} refused: its {size:,} bytes claim {footer.rows:,} events and "
            f"{claimed:,} bytes of memory"
        )


def _check_columns(path: Path, footer: Footer) -> None:
    missing = [name for name in COLUMNS if name not in footer.columns]
    if missing:
        raise InputError(
            f"{shown(path)} is not a llamatop recording: it lacks the columns {', '.join(missing)}"
        )
