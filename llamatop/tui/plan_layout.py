"""Places widgets by a plan of boxes; knows neither plan nor widgets."""

from __future__ import annotations

from collections.abc import Callable

from textual.geometry import Offset, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from llamatop.tui.plan import Box


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
