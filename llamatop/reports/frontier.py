"""Where memory ended in a run: the most requests that worked, the fewest that did not."""

from __future__ import annotations

from dataclasses import dataclass

from llamatop.figures.levels import memory_ended_in
from llamatop.session.reducer import Session
from llamatop.text.formatting import plural, size


@dataclass(frozen=True, slots=True)
class MemoryEnd:
    """Requests in flight on either side of the end; None: none was tried there."""

    works: int | None
    fails: int | None
    phase: str | None
    """`load`, `prefill`, `decode` or both of these; None: not known."""
    limit_bytes: int | None
    """What the engine process was allowed; None: all that the device has."""


def memory_end(session: Session) -> MemoryEnd | None:
    """Where memory ended; None: it was neither looked for nor met."""
    levels = session.levels.values()
    ended = [level for level in levels if level.outcome == "oom"]
    config = session.started.config if session.started else None
    in_load = session.ended is not None and session.ended.outcome == "oom" and not levels
    if not ended and not in_load and not (config and config.until_oom):
        return None
    first = min(ended, key=lambda level: level.concurrency, default=None)
    return MemoryEnd(
        works=max((level.concurrency for level in levels if level.outcome == "ok"), default=None),
        fails=first.concurrency if first else None,
        phase="load" if in_load else memory_ended_in(session, first) if first else None,
        limit_bytes=_limit(session),
    )


def _limit(session: Session) -> int | None:
    """An accelerator's memory ends by itself, though early recordings name the process's limit."""
    if session.model is None:
        return session.started.config.memory if session.started else None
    return session.model.memory_limit if session.model.device == "cpu" else None


def memory_end_line(end: MemoryEnd) -> str:
    """The same in a sentence."""
    allowed = "" if end.limit_bytes is None else f", with {size(end.limit_bytes)} for the engine"
    if end.phase == "load":
        return f"memory ended while the model was loaded{allowed}"
    if end.fails is None:
        works = "no request" if end.works is None else plural(end.works, "request")
        return f"memory did not end: {works} at once worked{allowed}"
    where = f" (in {end.phase})" if end.phase else ""
    works = "none works" if end.works is None else f"{end.works} work{'s' * (end.works == 1)}"
    return f"memory ends at {plural(end.fails, 'request')} at once{where}, {works}{allowed}"
