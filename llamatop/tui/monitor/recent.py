"""What the newest requests of a level took, and which level is told of.

Pure functions of a session. Only so many of the newest requests are looked at, so that a frame
costs the same after hours as after seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from itertools import chain, islice
from typing import Literal, NamedTuple

import msgspec

from llamatop.figures.requests import e2e, gaps, kept, queue_time, tpot, ttft
from llamatop.figures.served import (
    Client,
    client_bound,
    client_lags,
    is_estimated,
    on_servers,
    sent_late,
    ttfa,
)
from llamatop.figures.stats import Distribution, distribution
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request

RECENT = 512
"""Completed requests whose latencies are shown: the newest of a level."""

RECENT_GAPS = 8_000
"""Gaps between tokens that are shown: of the newest requests."""

Of = Literal["done", "in flight", "unfinished"]


class Latency(msgspec.Struct, frozen=True, eq=False):
    """Latencies of the newest requests of a level, in seconds, and the values behind them."""

    values: dict[str, list[float]]
    """By figure (TTFT, TPOT, ITL, E2E, queue), in ascending order.

    Of requests to servers also TTFA, where there was reasoning, and how late the client sent and
    its loop woke (late, lag).
    """
    spread: dict[str, Distribution | None]
    requests: int
    of: Of
    """The requests that these are of: before one has completed those in flight, if any is."""
    met: float | None = None
    """Share of the completed requests that meet every target, of those that could be judged; None
    without targets."""
    rough: bool = False
    """Whether some of their tokens are a guess, and with them TPOT and ITL."""
    client_bound: bool = False
    """Whether the client was so late that it, and not the server, is measured."""


def recent_latency(
    level: Level | None, slo: dict[str, float] | None = None, session: Session | None = None
) -> Latency:
    """What the newest completed requests took, or, before there is one, those in flight.

    Where none is in flight either (the engine was lost), those that came to their first token.
    """
    requests = level.requests if level is not None else []
    done = list(islice((r for r in reversed(requests) if r.state == "done"), RECENT))
    begun = [r for r in requests[-RECENT:] if r.tokens] if not done else []
    flying = [r for r in begun if r.active]
    shown = done or flying or begun
    values = {
        "TTFT": _known(ttft(r) for r in shown),
        "TPOT": _known(tpot(r) for r in shown),
        "ITL": sorted(islice(chain.from_iterable(map(gaps, shown)), RECENT_GAPS)),
        "E2E": _known(e2e(r) for r in done),
        "queue": _known(queue_time(r) for r in shown),
    }
    served = level is not None and session is not None and on_servers(session)
    if served and level is not None and session is not None:
        values |= _of_servers(session, level, shown)
    spread = {name: distribution(numbers) for name, numbers in values.items()}
    good, judged = kept(done, slo) if slo else (0, 0)
    met = good / judged if judged else None
    of: Of = "done" if done else "in flight" if flying else "unfinished"
    rough = session is not None and any(is_estimated(session, r) for r in shown)
    client = Client(spread.get("late"), spread.get("lag"))
    bound = served and client_bound(client, spread["TTFT"])
    return Latency(values, spread, len(shown), of, met, rough, bound)


def _of_servers(session: Session, level: Level, shown: list[Request]) -> dict[str, list[float]]:
    """What the client tells of requests and of itself, in ascending order."""
    answers = _known(ttfa(r) for r in shown)
    late = _known(sent_late(r) for r in shown)
    lags = sorted(islice(client_lags(session, level.started, level.ended), RECENT_GAPS))
    return {**({"TTFA": answers} if answers else {}), "late": late, "lag": lags}


class Shares(NamedTuple):
    """Shares of 1 of the machine's bandwidth and arithmetic, and what holds the run back."""

    mbu: float | None
    mfu: float | None
    held_back_by: str | None


def recent_shares(session: Session, level: Level) -> Shares:
    """Those of the newest requests of a level that have tokens."""
    from llamatop.figures import shares  # noqa: PLC0415  (not for the first paint)

    recent = copy(level)
    recent.requests = [r for r in level.requests[-RECENT:] if r.times]
    if not recent.requests:
        return Shares(None, None, None)
    mbu, mfu = shares.level_mbu(session, recent), shares.level_mfu(session, recent)
    return Shares(mbu, mfu, shares.level_held_back_by(session, recent, mbu, mfu))


def _known(values: Iterable[float | None]) -> list[float]:
    return sorted(value for value in values if value is not None)


def level_before(session: Session, level: Level | None) -> Level | None:
    """The last level with completions before a person changed the concurrency to `level`'s."""
    if level is None:
        return None
    older = [one for one in session.levels.values() if one.id < level.id]
    for before in reversed(older):
        if before.ended_by != "concurrency":
            return None
        if any(request.state == "done" for request in before.requests):
            return before
    return None


def with_completions(session: Session) -> Level | None:
    """The newest level in which a request completed; the newest of all where none did."""
    levels = reversed(session.levels.values())
    done = (level for level in levels if any(r.state == "done" for r in level.requests))
    return next(done, session.level)


def newest_first(session: Session, most: int) -> list[Request]:
    """Requests that have ended, the latest to arrive first, at most so many."""
    ended = (r for r in reversed(session.requests.values()) if r.ended is not None)
    return list(islice(ended, most))
