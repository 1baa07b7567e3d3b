"""The command palette: what it lists, and its look, a page in the theme's colours."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen

from llamatop.tui.monitor.keys import Command, spelled

CSS = """
SearchIcon { display: none; }
CommandPalette > Vertical {
    width: 72; max-width: 100%; margin-top: 2; background: $background;
}
CommandPalette #--input, CommandPalette #--input.--list-visible { border: round $accent 60%; }
CommandPalette CommandInput { border: none; height: 1; padding: 0 1; }
CommandPalette CommandList, CommandPalette CommandList:focus {
    border: round $accent 60%; background: $background; padding: 0; max-height: 75vh;
}
CommandPalette CommandList > .option-list--option { padding: 0 1; text-style: none; }
CommandPalette CommandList > .option-list--option-highlighted { background: $accent 20%; }
"""


@runtime_checkable
class Commanded(Protocol):
    """A screen with keys of its own, which it acts on itself."""

    commands: Sequence[Command]


def listed(
    screen: Screen[object],
    monitor: Sequence[Command],
    act: Callable[[str, DOMNode | None], Coroutine[Any, Any, bool]],
) -> Iterator[SystemCommand]:
    """Everything that has a key, of a screen or else the monitor; `act` does it."""
    own = screen if isinstance(screen, Commanded) else None
    for command in own.commands if own is not None else monitor:
        order = partial(act, command.action, screen if own is not None else None)
        yield SystemCommand(command.told.capitalize(), f"key: {spelled(command)}", order)
