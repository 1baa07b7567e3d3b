"""What llamatop learns of a machine at a first run, made up: tests measure none of it each time."""

from __future__ import annotations

from llamatop.engines import layout
from llamatop.engines.layout import Matrix, Timings, Took

DEMO = {Matrix(256, 256): 10, Matrix(128, 256): 10, Matrix(704, 256): 10, Matrix(256, 704): 5}
"""The bundled model's matrices that can be packed, and how many there are."""
STEPS = (*range(1, 17), 32, 64, None)


def keep_timings() -> None:
    """As of a machine on which packed matrices are twice as quick."""
    keys = [layout.key(DEMO, n) for n in STEPS]
    for dtype in layout.DTYPES:
        layout.write(dtype, Timings(dict.fromkeys(keys, Took(2e-3, 1e-3)), pack_bytes_s=1e10))
