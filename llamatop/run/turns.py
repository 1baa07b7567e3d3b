"""Two runs by turns, A B B A: one measures a level while the other is idle, both alive.

Whoever drives it calls `step`, as a pump's: a headless loop here, the screen elsewhere. Knows no
figure: what is decided, and when that is enough, is asked of `enough`. A run that fails ends both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from llamatop.errors import InputError
from llamatop.run.headless import STEP_SECONDS, Signals
from llamatop.run.live import LiveRun
from llamatop.run.pump import Pump

TURNS_A_ROUND = 4


@dataclass(frozen=True)
class Side:
    """One of the two settings."""

    live: LiveRun
    pump: Pump

    @property
    def failed(self) -> bool:
        """Whether it can have no further turn."""
        return self.live.ended or self.pump.session.lost is not None


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


class Turns:
    """Both sides from their start to their end."""

    def __init__(self, a: Side, b: Side, limits: Limits, enough: Enough) -> None:
        self.sides = {"a": a, "b": b}
        self.limits = limits
        self.done = 0
        """Rounds that are over."""
        self.turn = 0
        """Whose turn it is, as a place in `order`, from 1; 0: both are loading."""
        self.ending = False
        """Whether no further turn follows."""
        self._enough = enough
        self._began = time.monotonic()

    @property
    def whose(self) -> str:
        """The side that measures, `a` or `b`; empty: none."""
        return "" if self.ending or not self.turn else order(self.limits.rounds)[self.turn - 1]

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def over(self) -> bool:
        """Whether both have ended."""
        return self.ending and all(side.live.ended for side in self.sides.values())

    def start(self) -> None:
        """Load both."""
        self._began = time.monotonic()
        for side in self.sides.values():
            side.live.start()

    def step(self) -> None:
        """Move what has arrived, and begin the next turn where one is over.

        Raises InputError where one of them cannot run.
        """
        self._move()
        for side in self.sides.values():
            if side.pump.session.refused is not None:
                raise InputError(side.pump.session.refused)
        if not self.ending:
            self._go_on()

    def _move(self) -> None:
        for side in self.sides.values():
            side.pump.step()

    def _go_on(self) -> None:
        if any(side.failed for side in self.sides.values()):
            self.end(stopped=False)
        elif self._idle():
            self._turn_over()

    def _idle(self) -> bool:
        waiting = [self.sides[self.whose]] if self.turn else list(self.sides.values())
        return all(side.live.idle for side in waiting)

    def _turn_over(self) -> None:
        self._move()  # what came with the last event of the turn
        if self.turn and self.turn % TURNS_A_ROUND == 0:
            self.done += 1
            if self._is_enough():
                self.end(stopped=False)
                return
        self.turn += 1
        self.sides[self.whose].live.again()

    def _is_enough(self) -> bool:
        """After a round: asked in any case, since who is asked may tell of it."""
        enough, limits = self._enough(self.done), self.limits
        late = limits.max_time is not None and (
            self.spent * (self.done + 1) / self.done > limits.max_time
        )
        return enough or late or self.done == limits.rounds

    def end(self, stopped: bool) -> None:
        """No further turn; `stopped`: not even the rest of this one."""
        self.ending = True
        for side in self.sides.values():
            if stopped:
                side.live.stop()
            else:
                side.live.finish()

    def close(self, stopped: bool) -> None:
        """End what has not ended, wait for that, and let both go."""
        if not self.ending or (stopped and not self.over):
            self.end(stopped)
        for side in self.sides.values():
            while not side.live.ended:
                side.pump.step()
                time.sleep(STEP_SECONDS / 10)
            side.pump.step()
            side.live.close()


def by_turns(turns: Turns, signals: Signals) -> None:
    """Run to the last round, until it is enough, the time is over or a signal came.

    Raises InputError where one of them cannot run.
    """
    turns.start()
    try:
        while not turns.ending and signals.caught is None:
            turns.step()
            time.sleep(STEP_SECONDS)
    finally:
        turns.close(signals.caught is not None)
