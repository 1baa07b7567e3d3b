"""Two runs by turns, A B B A: one measures a level while the other is idle, both alive.

Knows no figure: what is decided, and when that is enough, is asked of `enough`. A run that fails
ends both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llamatop.errors import InputError
from llamatop.run.headless import STEP_SECONDS, Signals
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump

PAIRS_A_ROUND = 2


@dataclass(frozen=True)
class Side:
    """One of the two settings."""

    live: LiveRun
    pump: Pump


Enough = Callable[[int], bool]
"""Asked after each round with its number, from 1."""


def order(rounds: int) -> str:
    """Whose turn it is, one after another: so that what drifts evenly cancels in every round."""
    return "abba" * rounds


@dataclass(frozen=True)
class Limits:
    """How long it may go on: so many rounds, so many seconds of the whole (None: no limit)."""

    rounds: int
    max_time: float | None = None


def by_turns(a: Side, b: Side, limits: Limits, enough: Enough, signals: Signals) -> int:
    """Run to the last round, until it is enough, the time is over or a signal came; the rounds.

    Raises InputError where one of them cannot run.
    """
    sides = {"a": a, "b": b}
    max_time = limits.max_time
    began, done = time.monotonic(), 0
    for side in sides.values():
        side.live.start()
    try:
        if not _until(lambda: a.live.idle and b.live.idle, sides, signals):
            return 0
        for turn, name in enumerate(order(limits.rounds), 1):
            sides[name].live.again()
            if not _until(lambda one=sides[name]: one.live.idle, sides, signals):  # type: ignore[misc]
                return done
            if turn % (2 * PAIRS_A_ROUND):
                continue
            done += 1
            spent = time.monotonic() - began
            late = max_time is not None and spent * (done + 1) / done > max_time
            if enough(done) or late:
                return done
        return done
    finally:
        _end(sides, signals.caught is not None)


def _until(there: Callable[[], bool], sides: dict[str, Side], signals: Signals) -> bool:
    """Move events until something is so; False where a run ended before, or a signal came."""
    while not there():
        for side in sides.values():
            side.pump.step()
            if side.pump.session.refused is not None:
                raise InputError(side.pump.session.refused)
        ended = any(side.live.ended or side.pump.session.lost for side in sides.values())
        if ended or signals.caught is not None:
            return False
        time.sleep(STEP_SECONDS)
    for side in sides.values():
        side.pump.step()
    return True


def _end(sides: dict[str, Side], stopped: bool) -> None:
    for side in sides.values():
        if stopped:
            side.live.stop()
        else:
            side.live.finish()
        while not side.live.ended:
            side.pump.step()
            time.sleep(STEP_SECONDS / 10)
        side.live.close()
