"""The exit code of a run, read from its session: one rule with the screen and without."""

from __future__ import annotations

from llamatop.reports.outcome import failure
from llamatop.session.reducer import Session


def exit_code(session: Session) -> int:
    """1 where a request failed, the engine was lost or memory ended without being asked to; else 0.

    A run that a person stopped before anything failed has done what it should.
    """
    return 0 if failure(session) is None else 1


def lost_server(session: Session) -> bool:
    """Whether the server that the run started did not come to serve, or ended by itself."""
    if session.serving is None:
        return False
    refused = session.refused is not None and session.ready is None
    return refused or (session.lost is not None and session.lost.server)
