"""How a run ended, in one line: whether it failed, in which level, and why.

Reads a session and nothing else, so a run and its recording say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from llamatop.events.kinds import EngineLost, RequestFailed
from llamatop.events.sanitize import one_line
from llamatop.reports.frontier import memory_end, memory_end_line
from llamatop.session.reducer import Session
from llamatop.session.requests import Level
from llamatop.text.formatting import plural, whole

BAD = ("failed", "oom")
"""Outcomes of a level or a run that did not do what it should."""


def outcome_line(session: Session, growing: bool = False) -> str:
    """How it ended, with the cause where it failed; `growing`: it has not ended yet."""
    return failure(session) or _end(session, growing)


def failure(session: Session) -> str | None:
    """Why the run failed, in one line; None: it did not, or the end of memory was what it sought.

    A run that a person stopped before anything failed has done what it should.
    """
    sought = _sought(session)
    bad = ("failed",) if sought else BAD
    if sought and "failed" not in _outcomes(session):
        return None
    found = _lost(session, sought) or _bad_level(session, bad) or _refused(session)
    if found is None and not sought:
        found = _failed_requests(session)
    if found is None and session.ended is not None and session.ended.outcome in bad:
        found = f"the run {_words(session.ended.outcome)}; nothing tells why"
    return None if found is None else one_line(found)


def engine_lost(session: Session) -> bool:
    """Whether an engine was lost, other than to the end of memory that was sought."""
    if _sought(session) and "failed" not in _outcomes(session):
        return False
    return any(isinstance(event, EngineLost) for event in session.notable)


def reason(outcome: str | None, error: str) -> str | None:
    """Why a level is not `ok`; None where it is."""
    match outcome:
        case "ok":
            return None
        case "stopped":
            return one_line(error) or "stopped by a person or a signal before its end"
        case None:
            return "the recording ends before it does"
    return one_line(error) or "nothing tells why"


def _sought(session: Session) -> bool:
    return session.started is not None and session.started.config.until_oom


def _outcomes(session: Session) -> list[str | None]:
    ended = [] if session.ended is None else [session.ended.outcome]
    return [*ended, *(level.outcome for level in session.levels.values())]


def _is_memory(event: EngineLost) -> bool:
    return event.reason.startswith("out of memory")


def _lost(session: Session, sought: bool) -> str | None:
    """The first engine that was lost: by what, where, and its last words."""
    losses = [event for event in session.notable if isinstance(event, EngineLost)]
    losses = [one for one in losses if not (sought and _is_memory(one))]
    if not losses:
        return None
    event = losses[0]
    what, _, words = event.reason.partition(": ")
    if what.startswith("killed by "):
        told = f"the engine was {what}"
    elif _is_memory(event):
        told = what
    else:
        told, words = "the engine ended by itself", event.reason
    told = f"{told} {_when(session, event.time)}" + (f": {words}" if words else "")
    return told + _lost_again(session, losses[1:])


def _lost_again(session: Session, losses: Sequence[EngineLost]) -> str:
    """Where the engine was lost after the first time: `; lost again in level 2`."""
    times = [event.time for event in losses]
    levels = [
        str(place)
        for place, level in enumerate(session.levels.values(), 1)
        if any(_within(level, time) for time in times)
    ]
    if not levels:
        return f"; lost again {plural(len(times), 'time')}" if times else ""
    return f"; lost again in level{'s' if len(levels) > 1 else ''} {', '.join(levels)}"


def _within(level: Level, time: int) -> bool:
    return level.started <= time and (level.ended is None or time <= level.ended)


def _when(session: Session, time: int) -> str:
    """In which level an engine was lost, or that none ran."""
    for level in session.levels.values():
        if _within(level, time):
            return _where(session, level)
    before = [level for level in session.levels.values() if level.started <= time]
    if not before or before[-1].outcome in BAD:
        return "while the model was loaded"
    return f"after level {len(before)}"


def _where(session: Session, level: Level) -> str:
    """`in level 2 of 3 (concurrency 8), 4 of 6 requests done`."""
    place = list(session.levels).index(level.id) + 1
    config = session.started.config if session.started else None
    levels = len(config.concurrency) if config and not config.until_oom else 0
    of = f" of {levels}" if place <= levels > 1 else ""
    return f"in level {place}{of} (concurrency {level.concurrency}), {_done(level)}"


def _done(level: Level) -> str:
    done = sum(request.state == "done" for request in level.requests)
    if level.forgotten:
        return f"at least {plural(done, 'request')} done"
    of = "" if level.planned is None else f" of {whole(level.planned)}"
    requests = "request" if (level.planned or done) == 1 else "requests"
    return f"{whole(done)}{of} {requests} done"


def _bad_level(session: Session, bad: tuple[str, ...]) -> str | None:
    """The first level that went wrong."""
    level = next((one for one in session.levels.values() if one.outcome in bad), None)
    if level is None:
        return None
    words = level.error.removeprefix("out of memory: ")
    told = f"{_words(level.outcome)} {_where(session, level)}"
    return f"{told}: {words}" if words else told


def _words(outcome: str | None) -> str:
    return "out of memory" if outcome == "oom" else "failed"


def _refused(session: Session) -> str | None:
    return None if session.refused is None else f"the model was refused: {session.refused}"


def _failed_requests(session: Session) -> str | None:
    """How many requests failed, and the commonest reason."""
    told = [event for event in session.notable if isinstance(event, RequestFailed)]
    if not told:  # of a long session, what requests met goes first
        return "requests failed, or ended short" if session.untold else None
    why, times = Counter(event.error for event in told).most_common(1)[0]
    at_least = "at least " if session.untold else ""
    more = "" if times == len(told) else f" ({whole(times)} of them)"
    return f"{at_least}{plural(len(told), 'request')} failed: {why or 'nothing tells why'}{more}"


def _end(session: Session, growing: bool) -> str:
    """How a run ended that did not fail."""
    levels = list(session.levels.values())
    cut = session.ended is None
    if session.ended is None or session.ended.outcome == "stopped":
        told = ("still running," if growing else "cut off") if cut else "stopped"
        if not levels:
            return f"{told} before the first level"
        return f"{told} {_where(session, levels[-1])}"
    done = sum(request.state == "done" for level in levels for request in level.requests)
    told = f"done: {plural(len(levels), 'level')}, {plural(done, 'request')}"
    end = memory_end(session)
    return told if end is None else f"{told}; {memory_end_line(end)}"
