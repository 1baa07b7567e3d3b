"""What watched servers say that their own parts of memory are. SGLang does; knows no process."""

from __future__ import annotations

from collections.abc import Iterable

from llamatop.figures.serving import gauge
from llamatop.session.watched import Watched

GIB = 1 << 30
"""What SGLang calls a gigabyte, in bytes (its source divides by 2³⁰)."""

PARTS = {"weights": "weights_gb", "kv cache": "kv_cache_gb", "graphs": "graphs_gb"}
"""Parts by name, and what each is told by (`vocabulary.GAUGES`)."""


def own_parts(servers: Iterable[Watched]) -> dict[str, int]:
    """Bytes of each part, all replicas together; empty where nobody tells any."""
    samples = [one.now for server in servers for one in server.replicas.values() if one.samples]
    told = {
        name: [value for one in samples if (value := gauge(one, metric)) is not None]
        for name, metric in PARTS.items()
    }
    return {name: round(sum(values) * GIB) for name, values in told.items() if values}
