"""The line in which a person types what the request table shall show."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from llamatop.tui.monitor.frame import Choices

WHAT = "words that a request must hold; enter keeps them, esc drops them"
"""What stands where nothing is typed yet."""


class FilterInput(Input):
    """Filters while it is typed; Enter keeps it, Escape drops it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "drop", show=False)]
    DEFAULT_CSS = """
    FilterInput, FilterInput:focus {
        height: 1;
        padding: 0 1;
        border: none;
        background: $background;
        color: $foreground;
    }
    """

    def __init__(self, choices: Choices, draw: Callable[[], None], end: Callable[[], None]) -> None:
        super().__init__(choices.query, placeholder=WHAT, id="filter")
        self._choices, self._draw, self._end = choices, draw, end

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter by what stands there now."""
        message.stop()
        self._choices.query = message.value
        self._draw()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Keep the filter."""
        message.stop()
        self._end()

    def action_drop(self) -> None:
        """Show all requests again."""
        self._choices.query = ""
        self._end()
        self._draw()
