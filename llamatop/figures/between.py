"""What lies between the client's view of a server and the server's own, on one time axis.

The time to a first token is taken apart: the client's own delays and the connection by its clock;
the queue and the prefill by what the server tells of each request, or of all (their means, from
its sums); what is left is the network and whatever nobody tells. Knows no file and no screen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from statistics import fmean
from typing import Literal, TypeVar

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Stage
from llamatop.figures.rates import generated
from llamatop.figures.serving import counter, gauge, grown
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.session.thinning import Timed
from llamatop.session.watched import Replica, Sample, Watched

BY_STATUS = ("llama.cpp", "mlx")
"""Servers that send the status line when a request leaves their queue."""

SHORTEST = 3 * SECOND
"""Between the first look and the last (ns): less is too short to tell a rate by."""

EDGE = 2 * SECOND
"""A look lies no further than this (ns) from an edge of a stretch, or that is not known."""

_time = attrgetter("time")

T = TypeVar("T", bound=Timed)

OF_OTHERS = 0.1
"""By this share the server's means may exceed what ours took before they are others' too."""

MOST = 512
"""Requests of which the newest are told, at most."""

PARTS = ("held", "late", "connect", "queue", "prefill", "rest")


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Where the time to the first token of some requests went: means, in seconds.

    They add up to `ttft`; what is None is told by nobody, and part of `rest`.
    """

    requests: int
    ttft: float
    held: float
    """Until the client had a place for it: arrivals that came faster than places were free."""
    late: float
    """Until the client sent it."""
    connect: float | None
    queue: float | None
    prefill: float | None
    rest: float
    """The network, and what else nobody tells."""
    shared: bool = False
    """Whether the server's sums are of others' requests too, and so say nothing of these."""

    def parts(self) -> dict[str, float | None]:
        """By name, in order of time."""
        return {name: getattr(self, name) for name in PARTS}


@dataclass(frozen=True, slots=True)
class Told:
    """What the watched servers of a run told of a stretch of it."""

    generation_rate: float | None
    """Tokens per second of all requests, whoever sent them; None where it was too short."""
    running: float | None
    """Mean of the looks."""
    waiting: float | None
    """The most at a look."""
    kv_usage: float | None
    """The most at a look, of the fullest."""
    preempted: float | None


def first_token(
    session: Session, requests: Iterable[Request], start: int, end: int
) -> FirstToken | None:
    """Where the time of those went that had a first token; `start` to `end` (ns): when they ran.

    None where there is none of a server.
    """
    ours = [(r, r.served) for r in requests if r.served is not None and _began(r)]
    if not ours:
        return None
    begun = [request for request, _ in ours]
    ttft = fmean((request.times[0] - request.scheduled) / SECOND for request in begun)
    held = fmean((served.due - request.scheduled) / SECOND for request, served in ours)
    late = fmean((served.sent - served.due) / SECOND for _, served in ours)
    connect = _mean(begun, lambda request: _since(request, "connected", "sent"))
    queue, prefill = _queue(session, begun), _mean(begun, _prefill)
    queue = _told(session, "queue", start, end) if queue is None else queue
    prefill = _told(session, "prefill", start, end) if prefill is None else prefill
    theirs = (queue or 0.0) + (prefill or 0.0)
    left = ttft - held - late - (connect or 0.0)
    shared = theirs > left * (1 + OF_OTHERS)
    if shared:
        queue = prefill = None
        theirs = 0.0
    elif theirs > left:  # means of nearly the same requests
        queue, prefill = (None if x is None else x * left / theirs for x in (queue, prefill))
        theirs = left
    return FirstToken(len(begun), ttft, held, late, connect, queue, prefill, left - theirs, shared)


def told(session: Session, start: int, end: int) -> Told | None:
    """What servers told from `start` to `end` (ns); None where none was watched then."""
    servers = session.watched.values()
    pairs = [(s, r) for s in servers for r in s.replicas.values() if _within(r.samples, start, end)]
    if not pairs:
        return None
    looks = [(server, _within(replica.samples, start, end)) for server, replica in pairs]
    return Told(
        generation_rate=_sum(_rate(server, replica, start, end) for server, replica in pairs),
        running=_sum(_mean_of(samples, "running") for _, samples in looks),
        waiting=_sum(_most(gauge(x, "waiting") for x in samples) for _, samples in looks),
        kv_usage=_most(_fullest(server, samples, start, end) for server, samples in looks),
        preempted=_sum(_counted(replica, "preempted", start, end) for _, replica in pairs),
    )


def _within(samples: Sequence[T], start: int, end: int) -> Sequence[T]:
    """Looks from `start` to `end` (ns)."""
    first = bisect_left(samples, start, key=_time)
    return samples[first : bisect_right(samples, end, key=_time)]


def _rate(server: Watched, replica: Replica, start: int, end: int) -> float | None:
    """Tokens per second between the first look within a stretch and the last."""
    looks: Sequence[Timed] = server.slot_samples or replica.samples
    inside = _within(looks, start, end)
    if not inside or inside[-1].time - inside[0].time < SHORTEST:
        return None
    times = inside[0].time, inside[-1].time
    before, after = (generated(server, replica, time) for time in times)
    more = _growth(before, after)
    return None if more is None else more * SECOND / (times[1] - times[0])


def _fullest(server: Watched, samples: Sequence[Sample], start: int, end: int) -> float | None:
    """The largest share of the KV cache that was used; of llama.cpp what its slots held."""
    gauges = _most(gauge(sample, "kv_usage") for sample in samples)
    context = max((slot.context or 0 for slot in server.slots.values()), default=0)
    if gauges is not None or not context:
        return gauges
    held = _most(look.held for look in _within(server.slot_samples, start, end))
    return None if held is None else min(held / context, 1.0)


def level_span(level: Level, now: int) -> tuple[int, int] | None:
    """From the first measured request of a level to the last token of any (ns)."""
    if not level.requests:
        return None
    start = level.requests[0].scheduled if level.joined is None else level.joined
    lasts = [request.times[-1] for request in level.requests if request.times]
    end = max(lasts, default=now) if level.ended is not None else now
    return start, end


def recent_first_token(session: Session, level: Level, span: int) -> FirstToken | None:
    """Of a level's requests that completed within a span (ns) up to now."""
    since = session.now - span
    recent = (r for r in reversed(level.requests) if r.state == "done" and (r.ended or 0) >= since)
    done = list(islice(recent, MOST))
    start = min((request.scheduled for request in done), default=since)
    return first_token(session, done, max(start, since), session.now)


def level_first_token(session: Session, level: Level) -> FirstToken | None:
    """Of a level's measured requests that completed."""
    span = level_span(level, session.now)
    done = [request for request in level.requests if request.state == "done"]
    return first_token(session, done, *span) if span is not None else None


def level_told(session: Session, level: Level) -> Told | None:
    """What servers told of a level."""
    span = level_span(level, session.now)
    return told(session, *span) if span is not None else None


def _began(request: Request) -> bool:
    """Whether it is known when its first token came, and what was told before it was before it."""
    served, times = request.served, request.times
    if served is None or not times or (request.summed and len(times) == 1):
        return False
    connected = served.reached.get("connected", served.sent)
    return request.scheduled <= served.due <= served.sent <= connected <= times[0]


def _prefill(request: Request) -> float | None:
    return request.served.prefill if request.served is not None else None


def _at(request: Request, stage: Stage | Literal["sent"]) -> int | None:
    """When it reached a stage (ns)."""
    served = request.served
    if served is None:
        return None
    return served.sent if stage == "sent" else served.reached.get(stage)


def _since(request: Request, stage: Stage, before: Stage | Literal["sent"]) -> float | None:
    """Seconds from one stage to another."""
    start, end = _at(request, before), _at(request, stage)
    return None if start is None or end is None or end < start else (end - start) / SECOND


def _queue(session: Session, requests: Sequence[Request]) -> float | None:
    """Of servers whose status line says that a request has left the queue."""
    names = {one.name for one in session.servers.values()}
    return _mean(requests, _queued) if names and names <= set(BY_STATUS) else None


def _queued(request: Request) -> float | None:
    """Seconds to the status line; it comes a little after the prefill has begun."""
    queue, connected = _since(request, "status", "connected"), _at(request, "connected")
    if queue is None or connected is None:
        return None
    first = (request.times[0] - connected) / SECOND
    return min(queue, max(first - (_prefill(request) or 0.0), 0.0))


def _mean(requests: Sequence[Request], value: Callable[[Request], float | None]) -> float | None:
    """The mean where it is known of each."""
    values = [value(request) for request in requests]
    known = [one for one in values if one is not None]
    return fmean(known) if len(known) == len(values) else None


def _told(session: Session, what: str, start: int, end: int) -> float | None:
    """The mean that all servers together tell: growth of seconds over growth of observations."""
    servers = session.watched.values()
    replicas = [one for server in servers for one in server.replicas.values() if one.samples]
    seconds = [_counted(one, f"{what}_seconds", start, end) for one in replicas]
    counts = [_counted(one, f"{what}_count", start, end) for one in replicas]
    known = [(s, n) for s, n in zip(seconds, counts, strict=True) if s is not None and n]
    if not known or any(s is None for s in seconds):
        return None
    return sum(s for s, _ in known) / sum(n for _, n in known)


def _counted(replica: Replica, name: str, start: int, end: int) -> float | None:
    """What a counter grew by between the looks that hold a stretch."""
    samples = replica.samples
    first = samples[max(bisect_right(samples, start, key=_time) - 1, 0)]
    last = samples[min(bisect_left(samples, end, key=_time), len(samples) - 1)]
    if abs(first.time - start) > EDGE or abs(last.time - end) > EDGE:
        return None
    return _growth(grown(first, name), counter(last, name))


def _mean_of(samples: Sequence[Sample], name: str) -> float | None:
    values = [value for sample in samples if (value := gauge(sample, name)) is not None]
    return fmean(values) if values else None


def _growth(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(after - before, 0.0)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
