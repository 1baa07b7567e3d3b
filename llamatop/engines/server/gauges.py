"""Whether a server is idle, by its own gauges."""

from __future__ import annotations

import re

from llamatop.engines.server.asking import Asker

_BUSY = {
    "llama.cpp": ("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    "vllm": ("vllm:num_requests_running", "vllm:num_requests_waiting"),
    "sglang": ("sglang:num_running_reqs", "sglang:num_queue_reqs"),
}
"""Gauges that are zero when nothing runs and nothing waits."""


async def is_idle(asker: Asker, name: str) -> bool | None:
    """Whether nothing runs or waits there; None: it does not tell."""
    if name == "llama.cpp" and (slots := await _slots_idle(asker)) is not None:
        return slots
    gauges = _BUSY.get(name)
    if gauges is None:
        return None
    reply = await asker.get("/metrics")
    values = _values(reply.body.decode("utf-8", "replace"), gauges) if reply.status == 200 else []
    return not any(values) if values else None


async def _slots_idle(asker: Asker) -> bool | None:
    reply = await asker.get("/slots")
    slots = reply.json if reply.status == 200 else None
    if not isinstance(slots, list) or not slots:
        return None
    return not any(slot.get("is_processing") for slot in slots if isinstance(slot, dict))


def _values(page: str, names: tuple[str, ...]) -> list[float]:
    """Of each series of these gauges, whatever their labels."""
    one = "|".join(map(re.escape, names))
    found = re.findall(rf"^(?:{one})(?:\{{[^}}]*\}})? ([0-9.eE+-]+)", page, re.MULTILINE)
    return [float(value) for value in found]
