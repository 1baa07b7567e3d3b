"""A recording as a stage: played, or followed where it is still being made."""

from __future__ import annotations

from pathlib import Path

from llamatop.run.controls import Stage
from llamatop.run.pump import Pump
from llamatop.session.reducer import Session


def opened(path: str | Path, speed: float = 1.0) -> tuple[Stage, list[str]]:
    """Its stage, and what there is to say of it, a line each; InputError where it cannot be."""
    from llamatop.recording.follower import follow

    follower = follow(path)
    if follower is not None:
        from llamatop.run.following import Following

        following = Following(follower, speed)
        return Stage(Pump(following, Session()), replay=following), []
    from llamatop.recording.bookmarks import bookmarks_of
    from llamatop.recording.reader import open_recording
    from llamatop.run.replay import Replay

    recording = open_recording(path)
    replay = Replay(recording.events, speed)
    marks = bookmarks_of(recording.path, recording.facts)
    stage = Stage(Pump(replay, Session()), replay=replay, bookmarks=marks)
    return stage, recording.notices
