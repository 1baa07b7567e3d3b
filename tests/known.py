"""What llamatop learns of a machine at a first run, made up: tests measure none of it each time."""

from __future__ import annotations

from llamatop.engines import layout
from llamatop.engines.layout import Matrix, Timings, Took

DEMO = (Matrix(256, 256), Matrix(128, 256), Matrix(704, 256), Matrix(256, 704))
"""The bundled model's matrices that can be packed."""
AT_ONCE = (*range(1, 17), 32, 64, layout.PREFILL_ROWS)


def keep_timings() -> None:
    """As of a machine on which packed matrices are twice as quick."""
    keys = [layout.key(matrix, n) for matrix in DEMO for n in AT_ONCE]
    for dtype in layout.DTYPES:
        layout.write(dtype, Timings(dict.fromkeys(keys, Took(2e-5, 1e-5)), pack_bytes_s=1e10))
