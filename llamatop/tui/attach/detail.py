"""One row in full: every value, where it comes from, how old it is; a missing one, and why."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.figures.serving import MINUTE, Load, answers, metric_of, replica_load
from llamatop.figures.vocabulary import COUNTERS, GAUGES, HISTOGRAMS
from llamatop.reports.serving import quantile_text
from llamatop.session.reducer import Session
from llamatop.session.watched import Replica, Watched
from llamatop.text.formatting import UNKNOWN, duration, number, percent, size, whole
from llamatop.tui.attach.state import Looking, Row, server_of, urls_of
from llamatop.tui.drawing.lines import Line, clipped, fit, left
from llamatop.tui.monitor.views.panel import Content, more_rows

_NAME, _VALUE = 20, 24

_WORDS = {
    "running": "running",
    "waiting": "waiting",
    "waiting_capacity": "  for KV room",
    "waiting_deferred": "  deferred",
    "kv_usage": "KV cache",
    "generation_tokens": "generated",
    "prompt_tokens": "prompt tokens",
    "prefix_hits": "prefix hits",
    "preempted": "preempted",
    "aborted": "aborted",
    "accepted_tokens": "drafts accepted",
    "spec_accept_length": "accept length",
    "ttft_s": "TTFT",
    "itl_s": "ITL",
    "e2e_s": "E2E",
    "queue_s": "queue",
    "weights_gb": "weights",
    "kv_cache_gb": "KV cache memory",
    "graphs_gb": "graphs",
    "gpu_bytes": "GPU memory",
    "loaded_bytes": "model in memory",
    "loaded_device_bytes": "  on the GPU",
}


def detail(session: Session, looking: Looking, row: Row, width: int, height: int) -> Content:
    """The lines from `looking.scrolled` on."""
    if row.place is None:
        return Content([fit([("each server tells its own", "dim")], width)])
    server = server_of(session, row.place)
    lines = [*_what(session, server, row.place), (), *_values(session, server, row)]
    first = min(looking.scrolled, max(len(lines) - height, 0))
    looking.scrolled = first
    shown = [clipped(line, width) for line in lines[first : first + height]]
    return Content(shown, hints=more_rows(len(lines) - first - height))


def _line(name: str, value: str, source: str, role: str = "text") -> Line:
    return (
        (left(f" {name}", _NAME), "dim"),
        (left(value, _VALUE), role if value != UNKNOWN else "dim"),
        (f" {source}", "faint"),
    )


def _what(session: Session, server: Watched, place: int) -> list[Line]:
    seen, weighed = server.seen, server.weighed
    name = " ".join(part for part in (seen.name, seen.version) if part) if seen else UNKNOWN
    sources = " and ".join(seen.sources) if seen else ""
    every = f"read every {server.every} s" if server.every > 1 else "read every second"
    why = "" if server.every == 1 else ", so that its recording stays under 1 MB an hour"
    lines = [
        _line("address", urls_of(session)[place], ""),
        _line("server", name, f"{sources}, {every}{why}" if sources else ""),
        _line("model", seen.model or UNKNOWN if seen else UNKNOWN, "/v1/models"),
        _line("context", whole(seen.context) if seen else UNKNOWN, "tokens"),
    ]
    if weighed is not None:
        count = f"{weighed.processes} process" + ("es" if weighed.processes > 1 else "")
        told = f"{count} found by the port; peak {size(server.peak_bytes)}"
        lines.append(_line("memory", size(weighed.resident_bytes), told))
        known = weighed.device_bytes is not None
        source = "NVML, of these processes" if known else "no NVIDIA driver tells it"
        lines.append(_line("GPU memory", size(weighed.device_bytes), source))
    return lines


def _values(session: Session, server: Watched, row: Row) -> list[Line]:
    name = row.replica if row.replica is not None else next(iter(server.replicas), None)
    replica = server.replicas.get(name) if name is not None else None
    if replica is None or not replica.samples:
        said = server.stood.said if server.stood is not None else "not asked yet"
        return [_line("values", UNKNOWN, said or "it tells none")]
    now, minute = replica_load(server, replica), replica_load(server, replica, MINUTE)
    age = duration(max(session.now - replica.now.time, 0) / SECOND)
    stale = "" if answers(server) else "  old"
    lines = [_line("replica", row.replica or name or "", f"told {age} ago{stale}")]
    lines += [_scalar(server, replica, now, key) for key in (*GAUGES, *COUNTERS) if key in _WORDS]
    lines.append(_line("tok/s", number(now.generation_rate), _rate_source(server, replica)))
    lines.append(_line("prompt tok/s", number(now.prompt_rate), "growth over 5 s"))
    lines.append(_line("prefix hit rate", percent(now.prefix_hit_rate), "over 5 s"))
    for key in HISTOGRAMS:
        lines += _latency(replica, now, minute, key)
    return [line for line in lines if line]


def _scalar(server: Watched, replica: Replica, load: Load, key: str) -> Line:
    metric = metric_of(replica, key)
    if metric is None:
        if key == "kv_usage" and load.kv_usage is not None:
            return _line(_WORDS[key], percent(load.kv_usage), "/slots: tokens held of one context")
        if key not in ("running", "waiting", "kv_usage", "generation_tokens", "preempted"):
            return ()
        return _line(_WORDS[key], UNKNOWN, f"{_server_name(server)} tells no metric of it")
    value = replica.now.gauges.get(metric, replica.told.get(metric))
    shown = percent(value) if key == "kv_usage" else _number(value)
    if key.endswith("_bytes"):
        shown = size(value)
    return _line(_WORDS[key], f"{shown} GiB" if key.endswith("_gb") else shown, metric)


def _number(value: float | None) -> str:
    return whole(value) if value is None or value == int(value) else number(value)


def _rate_source(server: Watched, replica: Replica) -> str:
    if server.slot_samples:
        return "/slots n_decoded and tokens_predicted, growth over 5 s"
    metric = metric_of(replica, "generation_tokens")
    return f"{metric}, growth over 5 s" if metric else "no metric of it"


def _latency(replica: Replica, now: Load, minute: Load, key: str) -> list[Line]:
    metric = metric_of(replica, key)
    if metric is None:
        return [_line(_WORDS[key], UNKNOWN, "it tells no histogram of it")]
    return [
        _line(
            f"{_WORDS[key]} {share}",
            f"{quantile_text(now.latencies.get(key, {}).get(share))}"
            f"  1 min {quantile_text(minute.latencies.get(key, {}).get(share))}",
            metric if share == "p50" else "",
        )
        for share in ("p50", "p90", "p99")
    ]


def _server_name(server: Watched) -> str:
    return server.seen.name if server.seen is not None else "it"
