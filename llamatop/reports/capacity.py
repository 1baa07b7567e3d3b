"""How much a setting carries within its targets: the last level that kept them, and what broke."""

from __future__ import annotations

from dataclasses import dataclass

from llamatop.figures.targets import first_broken, kept_share
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import number

BAR = 20
"""Cells of a share's bar."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What `--until-slo` found; None: there was no such level."""

    concurrency: int | None
    """The most at once that kept the targets; with a rate the limit that was not reached."""
    rate: float | None
    """Arrivals per second that kept them, in an open loop."""
    share: float | None
    """Of its requests that kept every target."""
    broken_by: str | None
    """The target that most requests broke at the first level which did not keep them; None: every
    level that was tried kept them."""


def capacity(session: Session) -> Capacity | None:
    """What a run found that looked for it; None: it did not look, or has no level yet."""
    config, tried = _config(session), _tried(session)
    if config is None or not tried:
        return None
    kept = [(level, share) for level, share in tried if share >= config.share]
    broken = [level for level, share in tried if share < config.share]
    first = min(broken, key=_load, default=None)
    why = None if first is None else first_broken(_done(first), config.slo) or "failed"
    if not kept:
        return Capacity(None, None, None, why)
    most, share = max(kept, key=lambda pair: _load(pair[0]))
    return Capacity(most.concurrency, most.rate, share, why)


def capacity_line(found: Capacity, slo: dict[str, float]) -> str:
    """The same in a sentence."""
    targets = ", ".join(f"{name}={value:g}" for name, value in slo.items())
    if found.concurrency is None:
        return f"no level keeps {targets}; what breaks first: {_name(found.broken_by)}"
    what = (
        f"{found.concurrency} at once" if found.rate is None else f"{number(found.rate)} requests/s"
    )
    if found.broken_by is None:
        return f"{what} within {targets}, and nothing broke yet"
    return f"{what} within {targets}; what breaks first: {_name(found.broken_by)}"


def cliff(session: Session) -> list[str]:
    """The levels that were tried, in order of their load, each with the share that kept the
    targets; and what that says."""
    config, found = _config(session), capacity(session)
    if config is None or found is None:
        return []
    rows = [
        f"  {_loaded(level):>12}  {bar(share)} {share:.0%}"
        for level, share in sorted(_tried(session), key=lambda pair: _load(pair[0]))
    ]
    return ["\n".join([f"kept by {config.share:.0%}?", *rows, capacity_line(found, config.slo)])]


def bar(share: float) -> str:
    """A share as a bar of characters."""
    return ("█" * round(share * BAR)).ljust(BAR)


def _config(session: Session) -> RunConfig | None:
    """Of a run that looked for it."""
    config = session.started.config if session.started else None
    return config if config is not None and config.until_slo else None


def _tried(session: Session) -> list[tuple[Level, float]]:
    """The levels that are over, each with the share of its requests that kept the targets."""
    config = _config(session)
    if config is None:
        return []
    ended = [level for level in session.levels.values() if level.outcome in ("ok", "oom")]
    return [(level, kept_share(level.requests, config.slo) or 0.0) for level in ended]


def _load(level: Level) -> float:
    return level.concurrency if level.rate is None else level.rate


def _loaded(level: Level) -> str:
    return f"{level.concurrency} at once" if level.rate is None else f"{number(level.rate)}/s"


def _done(level: Level) -> list[Request]:
    return [one for one in level.requests if one.state == "done"]


def _name(target: str | None) -> str:
    return (
        "unknown" if target is None else target.upper() if target != "failed" else "requests fail"
    )
