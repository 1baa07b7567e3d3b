"""What the compare screen knows, and what the person has done on it. Knows no widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llamatop.events.clock import Clock
from llamatop.reports.runs import Run, differences, labels, short
from llamatop.tui.compare.deck import Deck
from llamatop.tui.compare.judging import Judged, Row
from llamatop.tui.compare.letters import LETTERS
from llamatop.tui.compare.tape import Stretch, Tape

if TYPE_CHECKING:
    from llamatop.run.trial import Trial

PANELS = ("set-up", "histories", "differences")
"""In the order of their number keys."""

_NAME = 32
"""Cells of a run's name."""


class Comparing:
    """Two to six runs, the first of them the baseline. Every change is a method."""

    def __init__(
        self, runs: Sequence[Run], clock: Clock | None = None, trial: Trial | None = None
    ) -> None:
        self.trial = trial
        """What still runs; None: the runs are over."""
        self._take(runs)
        self.judged: list[Judged | None] = [None] * (len(self.tapes) - 1)
        """Each other run against the baseline; None: not worked out yet."""
        self.problem = ""
        """Why something could not be worked out."""
        self.levels: list[int | None] = _levels(self.tapes) if trial is None else [None]
        """What can be looked at: None is all levels."""
        self.level = self.levels[0]
        self.focus: int | None = 0 if len(self.judged) == 1 else None
        """The other run whose figures are shown in full, by its place in `judged`."""
        self.maximised: str | None = None
        self.scrolled = 0
        self.deck = Deck(clock)
        self._load()

    def _take(self, runs: Sequence[Run]) -> None:
        self.tapes = [Tape(*one) for one in zip(LETTERS, labels(runs), runs, strict=False)]
        self.setup = differences(runs)
        """The facts that are not the same in all runs, each with every run's value."""

    def renew(self, runs: Sequence[Run]) -> None:
        """The same runs, which have gone on."""
        self._take(runs)
        self._load()

    @property
    def pair(self) -> bool:
        """Whether there is only one run against the baseline."""
        return len(self.judged) == 1

    @property
    def names(self) -> list[str]:
        """The recordings' names."""
        return [short(tape.run.name, _NAME) for tape in self.tapes]

    @property
    def computing(self) -> bool:
        """Whether a comparison is still being worked out."""
        return None in self.judged and not self.problem

    @property
    def awaited(self) -> str:
        """What is said where a comparison is not there yet."""
        return "computing…" if self.trial is None else "nothing is said before the second round"

    def stretches(self) -> list[Stretch | None]:
        """What is shown of each run; None where it did not run that level.

        Of two that run by turns the same time of both: their clocks began together.
        """
        found = [tape.stretch(self.level) for tape in self.tapes]
        if self.trial is None:
            return found
        levels = [level for tape in self.tapes for level in tape.levels.values()]
        begun = min((level.started for level in levels), default=0)
        return [Stretch(min(begun, one.end), one.end) for one in found if one is not None]

    def rows(self, other: int) -> tuple[Row, ...]:
        """The differences of another run at what is looked at; none while not worked out."""
        judged = self.judged[other]
        return judged.rows(self.level) if judged is not None else ()

    def found(self, other: int, judged: Judged) -> None:
        """A comparison is worked out."""
        self.judged[other] = judged

    def failed(self, problem: str) -> None:
        """A comparison cannot be worked out."""
        self.problem = problem

    def turn_level(self, steps: int) -> None:
        """Look at the next level, or at all of them; round and round."""
        place = (self.levels.index(self.level) + steps) % len(self.levels)
        if self.levels[place] != self.level:
            self.level = self.levels[place]
            self._load()

    def turn_focus(self, steps: int) -> None:
        """The next run in full, or all of them; round and round."""
        if not self.pair:
            places = [None, *range(len(self.judged))]
            self.focus = places[(places.index(self.focus) + steps) % len(places)]
            self.scrolled = 0

    def maximise(self, panel: str | None) -> None:
        """One panel alone, or all of them where it is alone already."""
        self.maximised = None if self.maximised == panel else panel
        self.scrolled = 0

    def back(self) -> bool:
        """All panels, all runs; False where that is so already."""
        if self.maximised is not None:
            self.maximise(None)
        elif self.focus is not None and not self.pair:
            self.focus = None
        else:
            return False
        return True

    def _load(self) -> None:
        tapes = zip(self.tapes, self.stretches(), strict=True)
        found = [(tape, stretch) for tape, stretch in tapes if stretch is not None]
        marks = [
            (time, kind)
            for tape, stretch in found
            for time, kind, _ in tape.marks(stretch, self.level)
            if time > 0
        ]
        self.deck.load(max((stretch.length for _, stretch in found), default=0), marks)


def _levels(tapes: Sequence[Tape]) -> list[int | None]:
    """The concurrencies that the baseline shares with another run; before them None for all."""
    others = {c for tape in tapes[1:] for c in tape.levels}
    shared = [c for c in tapes[0].levels if c in others]
    return [*shared] if len(shared) == 1 else [None, *shared]
