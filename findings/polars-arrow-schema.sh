#!/usr/bin/env bash
# polars 2.1.0 writes `metadata=` beside an Arrow schema of its own that lacks it. pyarrow 26.0.1 takes
# the metadata of a schema from the embedded one alone, and so does pandas 3.1.1: what was written
# is not seen, nullable integers come back as floats, and text is large_string.
#
# Seen:
#   polars demo pyarrow None large_string pandas float64
#   renamed: pyarrow b'demo' string pandas Int64
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow.parquet as pq

file = Path(sys.argv[1]) / "table.parquet"
column = {"name": "n", "field_name": "n", "pandas_type": "int64", "numpy_type": "Int64", "metadata": None}
told = json.dumps({"index_columns": [], "column_indexes": [], "columns": [column]})
table = pl.DataFrame({"n": [1, None], "text": ["a", None]}, schema={"n": pl.Int64, "text": pl.String})
table.write_parquet(file, metadata={"model": "demo", "pandas": told})

polars = pl.read_parquet_metadata(file)["model"]
schema = pq.read_schema(file)
before = (polars, schema.metadata, str(schema.field("text").type), str(pd.read_parquet(file)["n"].dtype))
print("polars", polars, "pyarrow", before[1], before[2], "pandas", before[3])

file.write_bytes(file.read_bytes().replace(b"ARROW:schema", b"polars:arrow"))
schema = pq.read_schema(file)
after = (schema.metadata[b"model"], str(schema.field("text").type), str(pd.read_parquet(file)["n"].dtype))
print("renamed: pyarrow", after[0], after[1], "pandas", after[2])
assert before == ("demo", None, "large_string", "float64"), before
assert after == (b"demo", "string", "Int64"), after
PYTHON
