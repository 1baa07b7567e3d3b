"""What is asked of a file before its values are decoded; each answer is InputError in one line.

Knows the footer's claims and the columns; decodes nothing in this process.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from llamatop.errors import InputError
from llamatop.recording.files import parts_of, shown, why
from llamatop.recording.footer import MAGIC, Footer, footer_of
from llamatop.recording.schema import COLUMNS, SCHEMA_VERSION
from llamatop.recording.seal import BrokenSealError, is_sealed

_NAMED = 4
"""Parts of a run of several at most that are named."""

CEILING = 4 << 30
"""Bytes of memory that no file may ask for."""

FLOOR = 256 << 20
"""Bytes of memory that any file may ask for."""

PER_BYTE = 1000
"""Bytes of memory that each byte of a file adds to that."""

ROW_BYTES = 64
"""Memory of one row of `COLUMNS` beside its texts."""

_REHEARSAL = (
    "import sys, polars; polars.read_parquet(sys.stdin.buffer.read(), columns=sys.argv[1:])"
)
_REHEARSAL_SECONDS = 120


def read(path: Path) -> bytes:
    """The bytes of what may be a Parquet file."""
    try:
        _check_file(path, path.stat())
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{shown(path)} is no recording: it is not a Parquet file")
            return MAGIC + file.read()
    except FileNotFoundError:
        parts = parts_of(path)[:_NAMED]
        told = f"; name one of {', '.join(parts)}" if parts else ""
        raise InputError(f"{shown(path)}: there is no such recording{told}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: cannot be read: {why(error)}") from None


def _check_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{shown(path)} is a folder; name one recording in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{shown(path)} is no recording: it is not a file")
    if not status.st_size:
        raise InputError(f"{shown(path)} is empty; nothing was recorded in it")
    if status.st_size > CEILING:
        raise InputError(f"{shown(path)} is no recording: {status.st_size:,} bytes are too many")


def footer(path: Path, data: bytes) -> Footer:
    """What the file says of itself."""
    try:
        return footer_of(data)
    except ValueError as error:
        raise InputError(f"{shown(path)}: not a whole Parquet file: {error}") from None


def check_version(path: Path, schema: str) -> None:
    """That this version can read that schema."""
    if not (schema.isdecimal() and len(schema) < 10):
        raise InputError(f"{shown(path)} is damaged: its schema version is no number")
    if int(schema) > SCHEMA_VERSION:
        raise InputError(
            f"{shown(path)} was recorded by a newer llamatop (schema {int(schema)}, this one "
            f"reads {SCHEMA_VERSION}); upgrade llamatop to open it"
        )


def check_seal(path: Path, data: bytes, claims: Footer) -> bool:
    """That the checksum matches, where there is one; whether there is."""
    try:
        return is_sealed(data, claims.start)
    except BrokenSealError:
        raise InputError(
            f"{shown(path)} is damaged: its checksum does not match; use a copy"
        ) from None


def check_size(path: Path, size: int, claims: Footer) -> None:
    """That few bytes do not claim to be very many."""
    claimed = claims.bytes + claims.rows * ROW_BYTES
    if not 0 <= claimed <= min(FLOOR + PER_BYTE * size, CEILING):
        raise InputError(
            f"{shown(path)} refused: its {size:,} bytes claim {claims.rows:,} events and "
            f"{claimed:,} bytes of memory"
        )


def check_columns(path: Path, claims: Footer) -> None:
    """That every column is there; more do no harm."""
    missing = [name for name in COLUMNS if name not in claims.columns]
    if missing:
        raise InputError(
            f"{shown(path)} is not a llamatop recording: it lacks the columns {', '.join(missing)}"
        )


def rehearse(path: Path, data: bytes) -> None:
    """That it can be decoded, tried in a process that may die of it.

    Over a damaged file polars can panic, or abort.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _REHEARSAL, *COLUMNS],
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_REHEARSAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{shown(path)}: cannot be decoded: {why(error)}") from None
    if done.returncode:
        raise InputError(f"{shown(path)} is damaged: it cannot be decoded")
