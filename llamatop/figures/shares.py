"""How near each level of a session came to the roofs, from its events alone.

Needs the facts that `ModelTraced` and `MachineMeasured` brought; without them every answer is
None. Reads no clock, cache or device, so a replay says what the live run said.
"""

from __future__ import annotations

from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.figures.contention import NOTABLE, level_contention
from llamatop.figures.requests import duration, output_tokens, prompt_tokens, queue_time, tpot
from llamatop.figures.roofline import (
    Holds,
    Reads,
    held_back_by,
    kv_bytes,
    mbu,
    mfu,
    step_weight_bytes,
)
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request


class _Step(NamedTuple):
    """A decode step as it went on average."""

    seconds: float
    requests: float
    """In flight together."""
    context: float
    """Tokens that each has."""


def level_mbu(session: Session, level: Level) -> float | None:
    """Memory bandwidth utilisation of a level's decoding; None where something is unknown.

    (weights read + caches read per step) / time of a step / this machine's bandwidth. In the
    threads engine each request reads the weights for itself. Unknown of offloaded weights,
    which come over a slower way than that bandwidth.
    """
    model, step = _model(session), _step(level)
    if _offloaded(session) or model is None or step is None or session.machine is None:
        return None
    apart = session.model is not None and session.model.engine == "threads"
    together, times = (1, step.requests) if apart else (max(round(step.requests), 1), 1.0)
    weights = step_weight_bytes(model, together) * times
    caches = kv_bytes(model, step.context) * step.requests
    return mbu(weights, caches, step.seconds, session.machine.bandwidth)


def level_mfu(session: Session, level: Level) -> float | None:
    """Model FLOPs utilisation over a level, prompts and outputs; None where unknown."""
    since = level.joined
    model, seconds = _model(session), duration(level.requests, since)
    if not seconds or model is None or session.machine is None:
        return None
    tokens = sum(
        (prompt_tokens(r, since) or 0) + output_tokens(r, since) for r in level.requests if r.times
    )
    return mfu(2.0 * model.active_parameters * tokens, seconds, session.machine.flops)


def level_held_back_by(
    session: Session, level: Level, mbu: float | None, mfu: float | None
) -> Holds | None:
    """What held a level back, given its `level_mbu` and `level_mfu`; None: nothing is known."""
    waits = [(queue_time(r), r) for r in level.requests if r.times]
    waited = sum(wait for wait, _ in waits if wait is not None)
    lived = sum((r.times[-1] - r.scheduled) / SECOND for _, r in waits)
    held = held_back_by(
        mbu,
        None if _offloaded(session) else mfu,  # alone it says `overhead`
        waited / lived if lived else None,
        level.outcome == "oom",
    )
    crowded = held == "overhead" and level_contention(session, level).wanting >= NOTABLE
    return "other processes" if crowded else held


def _offloaded(session: Session) -> bool:
    return session.model is not None and session.model.offload != ""


def _model(session: Session) -> Reads | None:
    return session.traced


def _step(level: Level) -> _Step | None:
    """The mean over requests that have decoded; each gets one token a step."""
    decoded = [request for request in level.requests if tpot(request) is not None]
    if not decoded:
        return None
    steps = sum(request.tokens - 1 for request in decoded)
    seconds = sum(_decoding(request) for request in decoded)
    context = sum((r.prompt_tokens or 0) + r.tokens / 2 for r in decoded) / len(decoded)
    return _Step(seconds / steps, min(_together(decoded), level.concurrency), context)


def _together(decoded: list[Request]) -> float:
    """Requests that decode at the same time, on average over the time in which any does."""
    spans = sorted((request.times[0], request.times[-1]) for request in decoded)
    covered, end = 0, spans[0][0]
    for first, last in spans:
        covered += max(last - max(first, end), 0)
        end = max(end, last)
    return sum(last - first for first, last in spans) / covered if covered else 1.0


def _decoding(request: Request) -> float:
    return (request.times[-1] - request.times[0]) / SECOND
