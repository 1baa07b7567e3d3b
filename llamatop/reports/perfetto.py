"""A run as a Chrome JSON trace, which ui.perfetto.dev opens.

Requests are async tracks with queue, prefill and decode in them; tokens are a counter in steps,
never slices of their own, so that a million of them take no more room than their seconds. All
requests share a name: Perfetto makes one group of them, with a row for each that overlaps. Times
are µs since the run began: small numbers, which keep their fraction. `id` is a whole number: where
it is a float the event is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import (
    EngineLost,
    Event,
    LevelEnded,
    LevelStarted,
    ModelLoaded,
    RequestFailed,
    RunEnded,
    ServerFound,
    ServerLost,
)
from llamatop.figures.requests import counted, first_token, tpot, ttft
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Request

MOST_REQUESTS = 50_000
"""Of more, so many are drawn, evenly chosen."""

MOST_STEPS = 20_000
"""Values of one counter at most."""

_RUN, _REQUESTS = 1, 2
"""Processes of the trace: the run itself, and its requests."""

Entry = dict[str, Any]
E = TypeVar("E", bound=Event)


def left_out(session: Session) -> int:
    """How many requests the trace does not have."""
    return len(session.requests) - len(_chosen(session))


def trace(session: Session) -> Iterator[Entry]:
    """Every entry of the trace."""
    model = session.started.config.model if session.started else "run"
    yield _named("process_name", _RUN, f"llamatop: {model}")
    yield _named("process_name", _REQUESTS, "requests")
    for level in session.levels.values():
        end = session.now if level.ended is None else level.ended
        named = {
            "cat": "level",
            "name": f"concurrency {level.concurrency}",
            "id": level.id,
            "pid": _RUN,
        }
        facts = {"outcome": level.outcome, "requests": len(level.requests)}
        yield from _span(named, (level.started, end), facts)
    for request in _chosen(session):
        yield from _request(request, session.now)
    yield from _tokens(session)
    yield from _memory(session)
    for event in session.notable:
        if told := _told(event):
            yield {"name": told, "ph": "i", "s": "p", "ts": _us(event.time), "pid": _RUN, "tid": 1}


def _chosen(session: Session) -> Sequence[Request]:
    requests = list(session.requests.values())
    apart = -(-len(requests) // MOST_REQUESTS)
    return requests[::apart] if apart > 1 else requests


def _us(time: int) -> float:
    return time / 1000


def _named(what: str, process: int, name: str) -> Entry:
    return {"name": what, "ph": "M", "pid": process, "tid": 1, "args": {"name": name}}


def _span(of: Entry, between: tuple[int, int], args: Entry) -> tuple[Entry, Entry]:
    """An async slice's two ends: those of one category and id lie within one another."""
    begin, end = between
    common = {**of, "tid": 1}
    opens = {**common, "ph": "b", "ts": _us(begin), "args": args}
    return opens, {**common, "ph": "e", "ts": _us(max(begin, end))}


def _request(request: Request, now: int) -> Iterator[Entry]:
    """A request with its phases inside."""
    begin, end = request.scheduled, now if request.ended is None else request.ended
    of = {"cat": "request", "name": "request", "id": request.id, "pid": _REQUESTS}
    opens, closes = _span(of, (begin, end), _facts(request))
    yield opens
    for name, start, over in _phases(request, end):
        if over > start:
            yield from _span({**of, "name": name}, (start, min(over, max(end, start))), {})
    yield closes


def _phases(request: Request, end: int) -> Iterator[tuple[str, int, int]]:
    """Queue, prefill and decode, as far as it came: begin and end in ns."""
    first, admitted = first_token(request), request.admitted
    yield "queue", request.scheduled, end if admitted is None else admitted
    if admitted is not None:
        yield "prefill", admitted, end if first is None else first
    if first is not None:
        yield "decode", first, request.times[-1]


def _facts(request: Request) -> Entry:
    return {
        "request": request.id,
        "state": request.state,
        "warmup": request.warmup,
        "prompt_tokens": request.prompt_tokens,
        "output_tokens": request.tokens if counted(request) else None,
        "max_tokens": request.max_tokens,
        "ttft_s": ttft(request),
        "tpot_s": tpot(request),
        **({"error": request.error} if request.error else {}),
    }


def _tokens(session: Session) -> Iterator[Entry]:
    """Output tokens per second, in tenths of a second or in steps that are as many as allowed."""
    bins = session.token_bins
    step = max(-(-len(bins) // MOST_STEPS), 1)
    seconds = step * BIN / SECOND
    for place in range(0, len(bins), step):
        rate = sum(bins[place : place + step]) / seconds
        yield _counter("output tokens per second", "tok/s", place * BIN, rate)
    yield _counter("output tokens per second", "tok/s", len(bins) * BIN, 0.0)


def _memory(session: Session) -> Iterator[Entry]:
    """Bytes of the engine, and of each device."""
    for sample in _thinned(session.host):
        if sample.engine_bytes is not None:
            yield _counter("engine process", "bytes", sample.time, sample.engine_bytes)
        if sample.server_bytes is not None:
            yield _counter("server processes", "bytes", sample.time, sample.server_bytes)
        if sample.used_bytes is not None:
            yield _counter("host memory", "bytes", sample.time, sample.used_bytes)
    for device, samples in session.devices.items():
        for one in _thinned(samples):
            if one.used_bytes is not None:
                yield _counter(f"device {device} memory", "bytes", one.time, one.used_bytes)
            if one.power_watts is not None:
                yield _counter(f"device {device} power", "watts", one.time, one.power_watts)
    for device, held in session.allocated.items():
        for each in _thinned(held):
            yield _counter(
                f"device {device} reserved by torch", "bytes", each.time, each.reserved_bytes
            )


def _thinned(samples: Sequence[E]) -> Sequence[E]:
    return samples[:: max(-(-len(samples) // MOST_STEPS), 1)]


def _counter(name: str, unit: str, time: int, value: float) -> Entry:
    return {"name": name, "ph": "C", "ts": _us(max(time, 0)), "pid": _RUN, "args": {unit: value}}


def _told(event: Event) -> str:  # noqa: PLR0911  (one match)
    """What happened at one moment, in words; empty: it has a slice of its own."""
    match event:
        case ModelLoaded():
            return "model loaded"
        case LevelStarted() | LevelEnded():
            return ""
        case RequestFailed():
            return f"request {event.request} failed: {event.error}"
        case EngineLost():
            return f"engine lost: {event.reason}"
        case ServerLost():
            return f"server {event.server} lost: {event.said}"
        case ServerFound():
            return f"server {event.server} answers again"
        case RunEnded():
            return f"run ended: {event.outcome}"
    return ""


def parts(entries: Iterable[Entry]) -> Iterator[str]:
    """The trace as the text of its file, entry by entry."""
    before = '{"displayTimeUnit":"ms","traceEvents":[\n'
    for entry in entries:
        yield before + json.dumps(entry, separators=(",", ":"), allow_nan=False)
        before = ",\n"
    yield "\n]}\n" if before == ",\n" else f"{before}]}}\n"
