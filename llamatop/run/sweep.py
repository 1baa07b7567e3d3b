"""Which level comes next, from how the levels before it went. Pure: no clock, no engine."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events.kinds import Outcome
from llamatop.settings.config import MAX_CONCURRENCY, RunConfig

Tried = Sequence[tuple[int, Outcome]]
"""(concurrency, outcome) of each level so far, in order."""


def next_concurrency(config: RunConfig, tried: Tried) -> int | None:
    """Requests in flight of the next level; None: the sweep is over.

    A failed level does not end a sweep. `until_oom` doubles past the levels asked for until
    memory ends, then closes in on the most that works.
    """
    if any(outcome == "stopped" for _, outcome in tried):
        return None
    if not config.until_oom:
        return config.concurrency[len(tried)] if len(tried) < len(config.concurrency) else None
    return _towards_oom(config, tried)


def _towards_oom(config: RunConfig, tried: Tried) -> int | None:
    if any(outcome == "failed" for _, outcome in tried):
        return None
    works = max((level for level, outcome in tried if outcome == "ok"), default=0)
    fails = min((level for level, outcome in tried if outcome == "oom"), default=None)
    if fails is not None:
        return (works + fails) // 2 if fails - works > 1 else None
    if len(tried) < len(config.concurrency):
        return config.concurrency[len(tried)]
    return works * 2 if works * 2 <= MAX_CONCURRENCY else None
