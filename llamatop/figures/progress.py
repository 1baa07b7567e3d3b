"""How far a level is: its requests that have ended, and how.

Knows no clock: what is in flight is what the session says is.
"""

from __future__ import annotations

from llamatop.session.reducer import Session
from llamatop.session.requests import Level


def finished_requests(session: Session, level: Level) -> int:
    """Measured requests of a level that have ended, however."""
    flying = sum(1 for r in session.active.values() if r.level == level.id and not r.warmup)
    return level.forgotten + len(level.requests) - flying


def completed_requests(session: Session, level: Level) -> int:
    """Those of them that came to their end."""
    return finished_requests(session, level) - level.failed - level.cancelled
