"""Two settings by turns, and what is known of them after each round.

Knows no file and no screen. What a round says is `reports.turns`'; when it is said so that looking
again and again rarely errs, `figures.sequential`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from llamatop.figures.deciding import SAME_WITHIN
from llamatop.figures.sequential import tail_of_a_look
from llamatop.reports.compare import Comparison
from llamatop.reports.runs import Run
from llamatop.reports.turns import compare_turns
from llamatop.run.turns import Limits, Side, Turns

Tell = Callable[[int, Comparison], None]
"""Told of each round: its number from 1, and what is known after it."""


class Trial:
    """`names` are those of the recordings, `within` ends it when throughput is known so far."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        names: tuple[str, str],
        limits: Limits,
        *,
        within: float | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.turns = Turns(*sides, limits, self._enough)
        self.within = within
        """None: nothing ends it but the limits."""
        self.rounds: list[Comparison] = []
        """What was known after each."""
        self._names = names
        self._tell = tell

    def runs(self) -> list[Run]:
        """Both as they stand: a run's figures are found once."""
        sides = self.turns.sides.values()
        return [Run(name, side.pump.session) for name, side in zip(self._names, sides, strict=True)]

    def found(self, *, live: bool = False) -> Comparison:
        """What is known now."""
        a, b = self.runs()
        tail = tail_of_a_look(self.turns.limits.rounds)
        return compare_turns(a, b, tail, self.within or SAME_WITHIN, live=live)

    def _enough(self, done: int) -> bool:
        found = self.found(live=True)
        self.rounds.append(found)
        if self._tell is not None:
            self._tell(done, found)
        first = next(iter(found.overall), None)
        return self.within is not None and first is not None and first.verdict != "undecided"
