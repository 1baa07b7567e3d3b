"""Whether an engine here packs a model's matrices, told from its trace before it is loaded.

Chooses as the engine does (`engines.layout`) from what was measured on this machine; where nothing
was, it is taken to pack.
"""

from __future__ import annotations

from llamatop.engines import layout
from llamatop.engines.layout import Matrix
from llamatop.predict.traced import Trace
from llamatop.settings.config import RunConfig


def packs(trace: Trace, config: RunConfig, device: str) -> bool:
    """Whether its matrices would be packed."""
    plain = config.quantize == "none" and config.offload == "none" and config.tp == 1
    here = device == "cpu" and trace.dtype in layout.DTYPES and not trace.quantization
    if not (config.tuning and plain and here and trace.matrices):
        return False
    matrices = {Matrix(rows, columns): count for rows, columns, count in trace.matrices}
    item = 4 if trace.dtype == "float32" else 2
    chosen = layout.choose(matrices, layout.read(trace.dtype), config, item)
    return chosen is None or chosen.packed
