"""Widgets at their places by a plan of boxes; knows neither plan nor widgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from textual.app import ComposeResult
from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from llamatop.tui.drawing.box import Box
from llamatop.tui.drawing.drawn import Drawn, F
from llamatop.tui.drawing.palette import Palette


class PlanLayout(Layout):
    """Places children by the plan; a child without a box is not shown."""

    name = "plan"

    def __init__(self, boxes: Callable[[Size], dict[str, Box]]) -> None:
        self._boxes = boxes

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        """Placements of those children that the plan names."""
        boxes = self._boxes(size)
        nowhere = Spacing(0, 0, 0, 0)
        return [
            WidgetPlacement(Region(*boxes[child.id]), Offset(0, 0), nowhere, child)
            for child in children
            if child.id in boxes
        ]


class Planned(Widget, Generic[F]):
    """Parts at their places of a plan; subclasses say which parts, and which plan."""

    DEFAULT_CSS = """
    Planned { width: 100%; height: 100%; background: $background; }
    """

    def __init__(self, parts: Sequence[Drawn[F]], *, id: str) -> None:
        super().__init__(id=id)
        self.parts = parts
        self._plan_layout = PlanLayout(self.boxes)

    def boxes(self, size: Size) -> dict[str, Box]:
        """Where each part stands, by its id; a part without a box is not seen."""
        raise NotImplementedError

    @property
    def layout(self) -> Layout:
        """By the plan, whatever the style sheet says."""
        return self._plan_layout

    def compose(self) -> ComposeResult:
        """All parts; the plan decides which are seen."""
        yield from self.parts

    def draw(self, frame: F) -> None:
        """Draw what changed of each part."""
        for part in self.parts:
            part.show(frame)

    def arrange_anew(self) -> None:
        """By another plan: Textual keeps the arrangement until a child asks for another."""
        self.parts[0].refresh(layout=True)

    def repaint(self, palette: Palette) -> None:
        """The same in other colours."""
        for part in self.parts:
            part.repaint(palette)
