"""The exit code of a run, read from its session: one rule with the screen and without."""

from __future__ import annotations

from llamatop.events.kinds import EngineLost, RequestFailed
from llamatop.session.reducer import Session

_BAD = ("failed", "oom")


def exit_code(session: Session) -> int:
    """1 where a request failed, the engine was lost or memory ended without being asked to; else 0.

    A run that a person stopped before anything failed has done what it should.
    """
    outcome, started = _outcome(session), session.started
    if started is not None and started.config.until_oom:
        return 1 if outcome == "failed" else 0  # the end of memory is what was asked for
    failed = any(isinstance(event, EngineLost | RequestFailed) for event in session.notable)
    forgotten = session.untold > 0  # of what was told, failures of long ago go first
    return 1 if failed or forgotten or outcome in _BAD else 0


def lost_server(session: Session) -> bool:
    """Whether the server that the run started did not come to serve, or ended by itself."""
    if session.serving is None:
        return False
    refused = session.refused is not None and session.ready is None
    return refused or (session.lost is not None and session.lost.server)


def _outcome(session: Session) -> str | None:
    """The run's own, or the first bad one of its levels: a run that is left is `stopped`."""
    outcomes = [session.ended.outcome if session.ended is not None else None]
    outcomes += [level.outcome for level in session.levels.values()]
    return next((outcome for outcome in outcomes if outcome in _BAD), outcomes[0])
