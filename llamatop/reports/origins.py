"""Every value that a watched server tells: where it comes from, how old it is; a missing one, why.

Words alone, for whoever draws or prints them. Computes no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.figures.between import BY_STATUS, FirstToken
from llamatop.figures.serving import MINUTE, Load, answers, metric_of, replica_load
from llamatop.figures.vocabulary import COUNTERS, GAUGES, HISTOGRAMS
from llamatop.reports.between import NAMES, SHARED
from llamatop.reports.serving import quantile_text
from llamatop.session.reducer import Session
from llamatop.session.watched import Replica, Watched
from llamatop.text.formatting import UNKNOWN, duration, number, percent, plural, size, whole


class Origin(NamedTuple):
    """A value in words, and where it comes from; three empty ones part what belongs together."""

    name: str
    value: str
    source: str
    """Of a missing value: why it is missing."""


PARTED = Origin("", "", "")

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

_MISSED = frozenset({"running", "waiting", "kv_usage", "generation_tokens", "preempted"})
"""Values of which it is said that a server does not tell them."""

_SECONDS = "growth over 5 s"
_ONE_LOOK = "a rate needs two looks"


def server_origins(session: Session, place: int, replica: str | None = None) -> list[Origin]:
    """What a server is, and what it or one replica tells; None: all that tell something."""
    server = session.watched.get(place, Watched())
    telling = [name for name, one in server.replicas.items() if one.samples]
    names = telling if replica is None else [replica]
    urls = session.started.config.urls if session.started is not None else ()
    lines = [Origin("address", urls[place] if place < len(urls) else UNKNOWN, "")]
    if not names:
        said = server.stood.said if server.stood is not None else "not asked yet"
        lines.append(Origin("values", UNKNOWN, said or "it tells none"))
    for name in names:
        lines += _values(session, server, name)
    return [*lines, PARTED, *_what(server)]


def _what(server: Watched) -> list[Origin]:
    """What it is, and what its processes hold."""
    seen, weighed = server.seen, server.weighed
    name = " ".join(part for part in (seen.name, seen.version) if part) if seen else UNKNOWN
    sources = " and ".join(seen.sources) if seen else ""
    every = f"read every {server.every} s" if server.every > 1 else "read every second"
    why = "" if server.every == 1 else ", so that its recording stays under 1 MB an hour"
    lines = [
        Origin("server", name, f"{sources}, {every}{why}" if sources else ""),
        Origin("model", seen.model or UNKNOWN if seen else UNKNOWN, "/v1/models"),
        Origin("context", whole(seen.context) if seen else UNKNOWN, "tokens"),
    ]
    if weighed is not None:
        count = f"{weighed.processes} process" + ("es" if weighed.processes > 1 else "")
        told = f"{count} found by the port; peak {size(server.peak_bytes)}"
        lines.append(Origin("memory", size(weighed.resident_bytes), told))
        known = weighed.device_bytes is not None
        source = "NVML, of these processes" if known else "no NVIDIA driver tells it"
        lines.append(Origin("GPU memory", size(weighed.device_bytes), source))
    return lines


def _values(session: Session, server: Watched, name: str) -> list[Origin]:
    replica = server.replicas[name]
    now, minute = replica_load(server, replica), replica_load(server, replica, MINUTE)
    age = duration(max(session.now - replica.now.time, 0) / SECOND)
    stale = "" if answers(server) else ", old: it answers no more"
    lines = [Origin("replica", name, f"told {age} ago{stale}")]
    lines += _scalars(server, replica, now, GAUGES)
    lines += [*_rates(server, replica, now), _hits(server, replica, now)]
    lines += _scalars(server, replica, now, COUNTERS)
    for key in HISTOGRAMS:
        lines += _latency(server, replica, now, minute, key)
    return lines


def _scalars(
    server: Watched, replica: Replica, load: Load, table: Iterable[str]
) -> Iterator[Origin]:
    """Those of a table of the vocabulary that have a word here."""
    for key in table:
        if key in _WORDS and (one := _scalar(server, replica, load, key)) is not None:
            yield one


def _scalar(server: Watched, replica: Replica, load: Load, key: str) -> Origin | None:
    metric = metric_of(replica, key)
    if metric is None:
        if key == "kv_usage" and load.kv_usage is not None:
            return Origin(_WORDS[key], percent(load.kv_usage), "/slots, tokens held of a context")
        missed = key in _MISSED or _told_once(replica, key) is not None
        return Origin(_WORDS[key], UNKNOWN, _untold(server, replica, key)) if missed else None
    value = replica.now.gauges.get(metric, replica.told.get(metric))
    shown = percent(value) if key == "kv_usage" else _number(value)
    if key.endswith("_bytes"):
        shown = size(value)
    return Origin(_WORDS[key], f"{shown} GiB" if key.endswith("_gb") else shown, metric)


def _number(value: float | None) -> str:
    return whole(value) if value is None or value == int(value) else number(value)


def _rates(server: Watched, replica: Replica, load: Load) -> list[Origin]:
    generated, prompted = (metric_of(replica, f"{of}_tokens") for of in ("generation", "prompt"))
    if server.slot_samples:
        generated = "/slots and tokens_predicted"
        prompted = None if prompted is None else "/slots and prompt_tokens"
    told = (
        ("tok/s", load.generation_rate, generated, "generation_tokens"),
        ("prompt tok/s", load.prompt_rate, prompted, "prompt_tokens"),
    )
    return [
        Origin(name, number(rate), _untold(server, replica, key))
        if metric is None
        else Origin(name, number(rate), f"{metric}, {_ONE_LOOK if rate is None else _SECONDS}")
        for name, rate, metric, key in told
    ]


def _hits(server: Watched, replica: Replica, load: Load) -> Origin:
    metric = metric_of(replica, "prefix_hits") or metric_of(replica, "cached_tokens")
    if metric is None:
        return Origin("prefix hit rate", UNKNOWN, _untold(server, replica, "prefix_hits"))
    why = "over 5 s" if load.prefix_hit_rate is not None else "no prompt in 5 s"
    return Origin("prefix hit rate", percent(load.prefix_hit_rate), f"{metric}, {why}")


def _latency(server: Watched, replica: Replica, now: Load, minute: Load, key: str) -> list[Origin]:
    metric = metric_of(replica, key)
    if metric is None:
        return [Origin(_WORDS[key], UNKNOWN, f"{_name(server)} tells no histogram of it")]
    found = now.latencies.get(key, {})
    none = "" if any(found.values()) else ", nothing in 5 s"
    return [
        Origin(
            f"{_WORDS[key]} {share}",
            f"{quantile_text(found.get(share))}"
            f"  1 min {quantile_text(minute.latencies.get(key, {}).get(share))}",
            f"{metric}{none}" if share == "p50" else "",
        )
        for share in ("p50", "p90", "p99")
    ]


def _untold(server: Watched, replica: Replica, key: str) -> str:
    """Why there is no value of a name here."""
    if (once := _told_once(replica, key)) is not None:
        return f"{_name(server)} tells {once} no more"
    return f"{_name(server)} tells no metric of it"


def _told_once(replica: Replica, key: str) -> str | None:
    """The counter that a server told before, and tells no more."""
    return next((one for one in COUNTERS.get(key, ()) if one in replica.now.gone), None)


def _name(server: Watched) -> str:
    return server.seen.name if server.seen is not None else "it"


def first_token_origins(session: Session, first: FirstToken) -> list[Origin]:
    """Where the time to the first token went, each part by whose clock."""
    ours = "the client's clock"
    unknown = "told by nobody, so part of the rest"
    sources = {
        "held": f"{ours}: until a place was free",
        "late": f"{ours}: from when it was due until it was sent",
        "connect": ours,
        "queue": _theirs(session, "queue"),
        "prefill": _theirs(session, "prefill"),
        "rest": "what is left: the network, and what nobody tells",
    }
    if first.shared:
        sources |= dict.fromkeys(("queue", "prefill"), SHARED)
    lines = [Origin("TTFT", duration(first.ttft), f"{ours}, {plural(first.requests, 'request')}")]
    for name, seconds in first.parts().items():
        shared = first.shared and name in ("queue", "prefill")
        source = sources[name] if seconds is not None or shared else unknown
        lines.append(Origin(f"  {NAMES[name]}", duration(seconds), source))
    return lines


def _theirs(session: Session, what: str) -> str:
    """Where the servers' part of a first token is from."""
    names = {one.name for one in session.servers.values()}
    if what == "queue" and names and names <= set(BY_STATUS):
        return "the client's clock: its status line comes as it leaves the queue"
    replicas = (one for server in session.watched.values() for one in server.replicas.values())
    told = (metric_of(one, f"{what}_seconds") for one in replicas if one.samples)
    metric = next((one for one in told if one is not None), None)
    return f"{metric} by its count" if metric is not None else "the server, with each answer"
