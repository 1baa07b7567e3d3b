"""What a recording that starts in the middle of a run has to be told first.

The facts of the run, the level that runs, and all events of the requests in flight, so that what
follows can be folded by itself: figures count from `RunStarted.joined` on, and the latencies of
whoever was in flight are whole. Knows a session, and no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from llamatop.events.kinds import (
    AdmissionPaused,
    Event,
    LevelEnded,
    LevelStarted,
    PromptReused,
    ReplicaSampled,
    RequestAdmitted,
    RequestQueued,
    RequestReached,
    RequestSent,
    SecondsThinned,
    SlotsSampled,
    TokensCounted,
    TokensEmitted,
)
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.session.watched import Watched

_FACTS = (
    "machine", "traced", "serving", "printed", "ready", "loading", "tuned", "model", "lost",
    "warmed",
)  # fmt: skip
"""Events of which the newest counts, in an order in which none undoes another."""


def preface(session: Session) -> list[Event]:
    """The events, in order; none where the run has not begun."""
    if session.started is None:
        return []
    facts = (getattr(session, name) for name in _FACTS)
    return [
        replace(session.started, joined=session.now),
        *(fact for fact in facts if fact is not None),
        *session.ranks.values(),
        *session.servers.values(),
        *session.away.values(),
        *(event for place, server in session.watched.items() for event in _watched(place, server)),
        *session.predicted.values(),
        *(event for level in _levels(session) for event in _level(session, level)),
        *([AdmissionPaused(session.now, True)] if session.paused else []),
        *(event for request in session.active.values() for event in _request(request)),
    ]


def _levels(session: Session) -> list[Level]:
    """The level that runs, and those that still have requests in flight."""
    wanted = {request.level for request in session.active.values()}
    return [level for level in session.levels.values() if level.ended is None or level.id in wanted]


def _level(session: Session, level: Level) -> Iterator[Event]:
    flying = sum(request.active for request in level.requests)
    ended = level.forgotten + len(level.requests) - flying
    yield LevelStarted(
        level.started,
        level.id,
        level.concurrency,
        level.planned,
        ended,
        level.place,
        level.places,
        level.rate,
    )
    if level.ended is not None and level.outcome is not None:
        yield LevelEnded(
            level.ended,
            level.id,
            level.outcome,
            level.host_peak_bytes,
            level.device_peak_bytes,
            level.error,
            level.ended_by,
            level.enough_at,
        )


def _request(request: Request) -> Iterator[Event]:
    """All that is known of it; its text so far comes with its newest tokens."""
    yield RequestQueued(
        request.scheduled,
        request.id,
        request.level,
        request.prompt_tokens,
        request.max_tokens,
        request.warmup,
        request.conversation,
        request.turn,
    )
    if request.admitted is not None:
        yield RequestAdmitted(request.admitted, request.id, request.level)
    if request.reused is not None and request.served is None:
        yield PromptReused(request.scheduled, request.id, request.reused)
    yield from _served(request)
    last = len(request.times) - 1
    for place, (time, count) in enumerate(zip(request.times, request.counts, strict=True)):
        text = request.text or None if place == last else None
        yield TokensEmitted(time, request.id, count, text)
    yield from _counted(request)


def _counted(request: Request) -> Iterator[Event]:
    """What its server said of its tokens, where its stream has ended."""
    served = request.served
    if served is not None and served.by is not None:
        yield TokensCounted(
            time=request.scheduled,
            request=request.id,
            by=served.by,
            count=request.tokens if served.counted else None,
            prompt=served.prompt,
            cached=served.cached,
            reasoning=served.reasoning,
            prefill=served.prefill,
        )


def _served(request: Request) -> Iterator[Event]:
    """What a client told of it."""
    if (served := request.served) is not None:
        yield RequestSent(served.sent, request.id, served.server, served.due, served.resent)
        for stage, time in served.reached.items():
            yield RequestReached(time, request.id, stage)


def _watched(place: int, server: Watched) -> Iterator[Event]:
    """All that a watched server told last, as if it had told it just now."""
    yield from (event for event in (server.seen, server.stood, server.weighed) if event is not None)
    if server.every > 1:
        yield SecondsThinned(server.was_up or 0, place, server.every)
    for name, replica in server.replicas.items():
        yield ReplicaSampled(
            replica.now.time,
            server=place,
            replica=name,
            gauges={**replica.now.gauges},
            counters={name: replica.told[name] for name in replica.now.counters},
            buckets={histogram: told.copy() for histogram, told in replica.counted.items()},
        )
    if server.slot_samples:
        slots = tuple(server.slots.values())
        yield SlotsSampled(server.slot_samples[-1].time, place, slots)
    yield from server.alerts.values()
