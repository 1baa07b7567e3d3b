"""The compare screen of two settings that run by turns, live.

It moves both runs with its frames, as the monitor moves one. A comparison is worked out after each
round only. Dismissed when the person leaves; whoever opened it ends what still runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from llamatop.errors import InputError
from llamatop.run.controls import Launcher
from llamatop.tui.compare.judging import judged_of
from llamatop.tui.compare.keys import LIVE
from llamatop.tui.compare.screen import CompareScreen
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.keys import Command, bindings

if TYPE_CHECKING:
    from llamatop.run.trial import Trial

PACE = 0.5
"""Seconds between two drawings of what goes on; a round that is over is drawn at once."""


class TurnsScreen(CompareScreen, inherit_bindings=False):
    """A and B, one of them measuring."""

    KEYS: ClassVar[Sequence[Command]] = LIVE
    BINDINGS: ClassVar[list[BindingType]] = bindings(LIVE)

    def __init__(self, palette: Palette, trial: Trial, *, launcher: Launcher | None = None) -> None:
        super().__init__(palette, trial.runs(), launcher=launcher, trial=trial)
        self.refusal: InputError | None = None
        """Why one of them cannot run."""
        self._trial = trial
        self._state = 0, False
        """Rounds told, and whether it is over, as drawn last."""
        self._drawn = 0.0

    def _begin(self) -> None:
        self._body.show()
        self._trial.turns.start()

    def show(self, frame: Frame) -> None:
        """Move on, and draw what is new."""
        turns = self._trial.turns
        try:
            if not turns.over:
                turns.step()
        except InputError as refusal:
            self.refusal = refusal
            self.dismiss(True)
            return
        state = len(self._trial.rounds), turns.over
        if state != self._state or (not turns.over and time.monotonic() - self._drawn > PACE):
            self._renew(state)
            self._body.show(frame)
        else:
            self._body.show_cost(frame)

    def _renew(self, state: tuple[int, bool]) -> None:
        self._drawn = time.monotonic()
        self.comparing.renew(self._trial.runs())
        if state[0] > self._state[0]:
            self.comparing.found(0, judged_of(self._trial.rounds[-1]))
        self._state = state

    def action_end(self) -> None:
        """No further turn; what was found stays on the screen."""
        self._trial.turns.end(stopped=True)
        self._body.show()

    def action_back(self) -> None:
        """All panels."""
        if self.comparing.back():
            self._body.show()
