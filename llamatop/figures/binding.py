"""What binds a watched server now, in a sentence, from what it tells; and what would help.

A finding, not a measurement: each names the values that it rests on. Knows no screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llamatop.figures.serving import Load, answers, state_of, together
from llamatop.session.watched import Watched
from llamatop.text.formatting import number, percent, whole

FULL = 0.9
"""Share of a KV cache from which on it is what binds."""

PREFILLING = 4.0
"""Prompt tokens computed for each token generated, from which on prefill takes the steps."""

Kind = Literal["away", "idle", "kv", "slots", "queue", "prefill", "decode", "unknown"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What binds a server, and what would help; empty where nothing need be done."""

    kind: Kind
    words: str
    help: str = ""


def bound(server: Watched, now: int) -> Bound:
    """The sentence of one server at a moment (ns)."""
    load = together(server)
    if not answers(server):
        said = server.stood.said if server.stood is not None else ""
        state = state_of(server, now)
        return Bound("away", f"{state}: {said}" if said else state)
    if load is None or load.running is None:
        return _by_slots(server) or Bound("unknown", _why_unknown(server))
    if not load.running and not load.waiting:
        return Bound("idle", "idle: nothing runs, nothing waits")
    return _kv(server, load) or _taken(server, load) or _steps(server, load)


def _kv(server: Watched, load: Load) -> Bound | None:
    """The KV cache is full: by its use with a queue, by reason, or by preemptions."""
    full = load.kv_usage is not None and load.kv_usage >= FULL
    pressed = bool(load.preempted) or bool(load.waiting_capacity)
    if not (full and (load.waiting or pressed)) and not load.preempted:
        return None
    parts = [f"KV cache {percent(load.kv_usage)} full"]
    if load.waiting_capacity:
        parts.append(f"{whole(load.waiting_capacity)} wait for room")
    elif load.waiting:
        parts.append(f"{whole(load.waiting)} wait")
    if load.preempted:
        parts.append(f"{whole(load.preempted)} preempted in 5 s")
    help_ = {
        "vllm": "more memory for it (--gpu-memory-utilization), --kv-cache-dtype fp8, a replica",
        "sglang": "more memory for it (--mem-fraction-static), an fp8 cache, a replica",
        "llama.cpp": "a larger --ctx-size, --cache-type-k q8_0, fewer slots",
    }
    return Bound("kv", ": ".join((parts[0], ", ".join(parts[1:]))), help_.get(_name(server), ""))


def _taken(server: Watched, load: Load) -> Bound | None:
    """All places are taken while others wait."""
    if not load.waiting:
        return None
    slots = len(server.slots)
    if slots:
        words = f"all {slots} slots are taken, {whole(load.waiting)} wait"
        return Bound("slots", words, "more slots (--parallel), or another replica")
    words = f"{whole(load.running)} run, {whole(load.waiting)} wait"
    if load.kv_usage is None:
        return Bound("queue", f"{words}; for what is not told", "")
    words += f", KV cache {percent(load.kv_usage)}: the number of sequences binds"
    help_ = {"vllm": "--max-num-seqs", "sglang": "--max-running-requests"}
    return Bound("queue", words, help_.get(_name(server), "another replica"))


def _steps(server: Watched, load: Load) -> Bound:
    """What the steps go to."""
    look = server.slot_samples[-1] if server.slot_samples else None
    read, made = load.prompt_rate or 0.0, load.generation_rate or 0.0
    by_slots = look is not None and look.prefilling * 2 > look.busy
    by_rate = bool(read) and read > PREFILLING * made
    if by_slots or by_rate:
        words = f"prefill takes the steps: {number(read)} prompt tok/s beside {number(made)} made"
        if look is not None and not by_rate:
            words = f"prefill: {look.prefilling} of {look.busy} busy slots read prompts"
        hits = load.prefix_hit_rate
        if hits is not None:
            words += f", {percent(hits)} of the prompts cached"
        return Bound("prefill", words, "shared prefixes first, more prefill budget")
    words = f"decode: {whole(load.running)} at once make {number(made)} tok/s, nothing waits"
    return Bound("decode", words, "it has room for more requests")


def _by_slots(server: Watched) -> Bound | None:
    """llama.cpp without metrics: its slots tell how many run."""
    look = server.slot_samples[-1] if server.slot_samples else None
    if look is None:
        return None
    if not look.busy:
        return Bound("idle", "idle: no slot is busy")
    if look.busy == len(server.slots):
        return Bound("slots", f"all {look.busy} slots are taken", "start it with --metrics")
    return Bound("decode", f"{look.busy} of {len(server.slots)} slots are busy")


def _why_unknown(server: Watched) -> str:
    said = server.stood.said if server.stood is not None else ""
    return f"not known: {said}" if said else "not known: it does not tell what runs"


def _name(server: Watched) -> str:
    return server.seen.name if server.seen is not None else "unknown"
