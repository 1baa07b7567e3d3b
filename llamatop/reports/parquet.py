"""A table as a Parquet file that other tools read as it is meant.

polars embeds an Arrow schema of its own, for which pyarrow and pandas pass over the file's
metadata and take every text for a large one. Without it they read both, and plain text.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from llamatop.recording.footer import footer_of
from llamatop.recording.parquet import reasons

_NULLABLE = {"Int64": "Int64", "Int32": "Int32", "Boolean": "boolean"}
"""pandas' own types that may be null, by polars'."""

_EMBEDDED = b"\x18\x0cARROW:schema\x18"
"""Its key in a footer, between Thrift's field headers."""
_ASIDE = b"\x18\x0cpolars:arrow\x18"
"""As long, and looked for by none."""


def write_parquet(
    tables: Iterable[pl.DataFrame], file: BinaryIO, metadata: Mapping[str, str]
) -> None:
    """Write the parts of one table, at least one, and the metadata; `file` need not seek.

    Raises OSError or polars' errors.
    """
    rest = iter(tables)
    first = next(rest)
    source = register_io_source(lambda *_: chain([first], rest), schema=first.schema)
    with tempfile.TemporaryFile() as whole:
        with reasons(whole):
            source.sink_parquet(whole, metadata=with_pandas(metadata, first.schema))
        _set_aside(whole)
        whole.seek(0)
        shutil.copyfileobj(whole, file)


def with_pandas(metadata: Mapping[str, str], schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    """The same, and for pandas that integers stay integers where some are null."""
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": kind.lower(),
            "numpy_type": kind,
            "metadata": None,
        }
        for name, dtype in schema.items()
        if (kind := _NULLABLE.get(str(dtype))) is not None
    ]
    told = {"index_columns": [], "column_indexes": [], "columns": columns}
    return {**metadata, "pandas": json.dumps(told)}


def _set_aside(file: BinaryIO) -> None:
    """Give the embedded schema another name in a whole file."""
    file.seek(0)
    data = file.read()
    place = data.rfind(_EMBEDDED, footer_of(data).start)
    if place >= 0:
        file.seek(place)
        file.write(_ASIDE)
