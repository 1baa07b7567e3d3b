"""Watched servers as JSON: of the last moments, or over the whole of a watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llamatop.events.kinds import SlotFacts
from llamatop.figures.buckets import Quantile
from llamatop.figures.serving import (
    Latencies,
    Load,
    answers,
    replica_load,
    state_of,
    together,
)
from llamatop.figures.vocabulary import HISTOGRAMS
from llamatop.session.reducer import Session
from llamatop.session.watched import Replica, Watched
from llamatop.text.formatting import UNKNOWN, duration, number, percent, whole


def servers_json(session: Session, window: int | None) -> dict[str, Any]:
    """Every server that was watched; rates and percentiles over a window (ns), None: the whole."""
    urls = session.started.config.urls if session.started is not None else ()
    return {
        "servers": [
            _server(url, session.watched.get(place, Watched()), session.now, window)
            for place, url in enumerate(urls)
        ]
    }


def _server(url: str, server: Watched, now: int, window: int | None) -> dict[str, Any]:
    seen, weighed = server.seen, server.weighed
    told = answers(server) or window is None
    replicas = server.replicas.items() if told else ()
    total = together(server, window) if told else None
    return {
        "url": url,
        "name": seen.name if seen is not None else "unknown",
        "version": seen.version if seen is not None else None,
        "model": seen.model if seen is not None else None,
        "context": seen.context if seen is not None else None,
        "state": state_of(server, now),
        "said": server.stood.said or None if server.stood is not None else None,
        "resident_bytes": weighed.resident_bytes if weighed is not None else None,
        "device_bytes": weighed.device_bytes if weighed is not None else None,
        "peak_resident_bytes": server.peak_bytes,
        "replicas": [
            {"replica": name, **_load(_told(server, replica, window)), **_slots(server)}
            for name, replica in replicas
            if replica.samples
        ],
        "total": _load(_standing(server, total) if total is not None else None),
    }


def _told(server: Watched, replica: Replica, window: int | None) -> Load:
    return _standing(server, replica_load(server, replica, window))


def _standing(server: Watched, load: Load) -> Load:
    """The same; of a server that answers no more, what runs there now is not known."""
    if answers(server):
        return load
    return replace(load, running=None, waiting=None, waiting_capacity=None, kv_usage=None)


def _load(load: Load | None) -> dict[str, Any]:
    if load is None:
        return {**dict.fromkeys(_NUMBERS), **{name: {} for name in HISTOGRAMS}}
    return {
        "running": _whole(load.running),
        "waiting": _whole(load.waiting),
        "kv_usage": load.kv_usage,
        "generation_tok_s": load.generation_rate,
        "prompt_tok_s": load.prompt_rate,
        "generation_tokens": _whole(load.generation_tokens),
        "prompt_tokens": _whole(load.prompt_tokens),
        "prefix_hit_rate": load.prefix_hit_rate,
        "preempted": _whole(load.preempted),
        **latencies_json(load.latencies),
    }


_NUMBERS = (
    "running",
    "waiting",
    "kv_usage",
    "generation_tok_s",
    "prompt_tok_s",
    "generation_tokens",
    "prompt_tokens",
    "prefix_hit_rate",
    "preempted",
)


def latencies_json(latencies: Latencies) -> dict[str, dict[str, float | None]]:
    """Percentiles in seconds; `p50_below` and `p50_above` where a bound is all that is known."""
    return {name: _percentiles(latencies.get(name)) for name in HISTOGRAMS}


def _percentiles(found: Mapping[str, Quantile | None] | None) -> dict[str, float | None]:
    """Empty where the server does not tell that latency, or nothing was observed."""
    told: dict[str, float | None] = {}
    for name, one in (found or {}).items():
        told[name] = one.value if one is not None else None
        if one is not None and one.below is not None:
            told[f"{name}_below"] = one.below
        if one is not None and one.above is not None:
            told[f"{name}_above"] = one.above
    return told


def _slots(server: Watched) -> dict[str, list[dict[str, Any]]]:
    slots = [slot_json(slot) for _, slot in sorted(server.slots.items())]
    return {"slots": slots} if slots else {}


def slot_json(slot: SlotFacts) -> dict[str, Any]:
    """A slot: in prefill its prompt's tokens, in decode its answer's; `of` None: no limit."""
    if not slot.busy:
        return {"id": slot.id, "state": "idle", "done": None, "of": None}
    if not slot.decoded:
        done = (slot.prompt or 0) + (slot.cached or 0)
        return {"id": slot.id, "state": "prefill", "done": done, "of": slot.held}
    of = slot.decoded + slot.remaining if slot.remaining is not None else None
    return {"id": slot.id, "state": "decode", "done": slot.decoded, "of": of}


def _whole(value: float | None) -> int | float | None:
    """A count as an integer, where it is one."""
    return int(value) if value is not None and value == int(value) else value


def servers_text(session: Session, window: int | None) -> str:
    """The same for a person: a line a server, a line a replica where there are several."""
    urls = session.started.config.urls if session.started is not None else ()
    lines = []
    for place, url in enumerate(urls):
        server = session.watched.get(place, Watched())
        lines.append(_server_line(url, server, session.now))
        shown = list(server.replicas.items()) if answers(server) or window is None else []
        for name, replica in shown:
            title = "replica" if len(shown) > 1 else ""
            line = _load_line(_told(server, replica, window))
            lines.append(f"  {title} {name}: {line}" if title else f"  {line}")
    return "\n".join(lines)


def _server_line(url: str, server: Watched, now: int) -> str:
    seen = server.seen
    what = [seen.name, seen.version, seen.model] if seen is not None else []
    said = server.stood.said if server.stood is not None else ""
    parts = [url, " ".join(part for part in what if part), state_of(server, now)]
    return ", ".join(part for part in parts if part) + (f": {said}" if said else "")


def _load_line(load: Load) -> str:
    parts = [
        f"{whole(load.running)} running",
        f"{whole(load.waiting)} waiting",
        f"KV {percent(load.kv_usage)}",
        f"{number(load.generation_rate)} tok/s generated",
        f"{number(load.prompt_rate)} tok/s prompt",
    ]
    for name, label in (("ttft_s", "TTFT"), ("itl_s", "ITL")):
        if name in load.latencies:
            parts.append(f"{label} p50 {quantile_text(load.latencies[name]['p50'])}")
    return ", ".join(parts)


def quantile_text(found: Quantile | None) -> str:
    """A percentile in seconds; `< 10 ms` where a bound is all that is known."""
    if found is None:
        return UNKNOWN
    if found.below is not None:
        return f"< {duration(found.below)}"
    if found.above is not None:
        return f"> {duration(found.above)}"
    return duration(found.value)
