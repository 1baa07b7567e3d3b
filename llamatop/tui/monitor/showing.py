"""A stage on the screen: its monitor, its figures, and the rooms that act on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llamatop.run.controls import Orders, Stage
from llamatop.tui.drawing.palette import Palette
from llamatop.tui.monitor.body import Monitor
from llamatop.tui.monitor.frame import Frame, Keeping
from llamatop.tui.monitor.frame_figures import Figures
from llamatop.tui.monitor.looking import Looking
from llamatop.tui.monitor.steering import Steering
from llamatop.tui.monitor.views.footer import Key

if TYPE_CHECKING:
    from llamatop.tui.monitor.playback import Player


class Showing:
    """What one stage needs to be seen and steered; another stage gets another one.

    `keys` names those that work now, `draw` shows what a choice changed, `tell` shows a person
    (title, line), `after` calls something so many seconds later.
    """

    def __init__(
        self,
        stage: Stage,
        palette: Palette,
        keys: Callable[[Frame], list[Key]],
        draw: Callable[[], None],
        *,
        tell: Callable[[str, str], None],
        after: Callable[[float, Callable[[], None]], object],
    ) -> None:
        pump, live, replay = stage.pump, stage.live, stage.replay
        self.monitor = Monitor(palette, keys, transport=replay is not None)
        self.looking = Looking(self.monitor, draw)
        self.player: Player | None = None
        """Of a replay."""
        self.acting: Orders = {}
        """What changes the run or the replay itself."""
        self._stage = stage
        self._figures = Figures()
        self._steering: Steering | None = None
        if replay is not None:
            from llamatop.tui.monitor.playback import Player  # noqa: PLC0415  (a live run has none)

            self.player = Player(pump, replay, stage.bookmarks, tell, self.looking.look_at)
            self.acting = self.player.orders
        elif live is not None:
            table = self.monitor.table
            self._steering = Steering(pump, live, lambda: table.selected, tell, after)
            self.acting = self._steering.orders

    def frame(self, cost: str, leaving: bool) -> Frame:
        """What is shown now; `cost` is what the screen itself takes, in words."""
        session, recorder = self._stage.pump.session, self._stage.recorder
        playback = self.player.playback if self.player else None
        self._figures.look(session, still=playback is not None and not playback.playing)
        return Frame(
            session,
            self._figures,
            self.looking.choices,
            playback,
            Keeping(str(recorder.path), recorder.error) if recorder is not None else None,
            cost,
            leaving,
            self._steering.wanted if self._steering is not None else None,
        )
