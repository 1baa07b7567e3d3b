"""A browser's tab in the place of a terminal: behind pipes to whoever serves the page.

Textual's web driver goes on for ever where the other end dies, and ends at once where a tab is
closed. Here the first is a terminal that hung up, and the second is leaving in good order.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from textual.drivers.web_driver import WebDriver

if TYPE_CHECKING:
    from textual.app import App
    from textual.theme import Theme


class Leaves(Protocol):
    """An app that ends when its tab is closed, or is gone."""

    def leave(self, code: int) -> None:
        """In good order, with this exit code."""

    def hang_up(self) -> None:
        """Nobody sees it any more; may be called more than once."""


class TabDriver(WebDriver):
    """Textual's web driver, for an app that `Leaves`."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        for name in ("COLUMNS", "ROWS", "TEXTUAL_DRIVER"):  # not for what is started from here
            os.environ.pop(name, None)
        self._write = self._write_all  # type: ignore[assignment]
        self._gone = False
        self._leaves = cast("Leaves", app)

    def start_application_mode(self) -> None:
        """Begin to draw, in a tab of the theme's colours."""
        self._loop = asyncio.get_running_loop()
        super().start_application_mode()
        self._paint_ground(self._app.current_theme)
        self._app.call_later(
            self._app.theme_changed_signal.subscribe, self._app, self._paint_ground
        )

    def _paint_ground(self, theme: Theme) -> None:
        ink, ground = theme.foreground or "#ffffff", theme.background or "#000000"
        self.write(f"\x1b]10;{ink}\x1b\\\x1b]11;{ground}\x1b\\")

    def _write_all(self, data: bytes) -> None:
        """All of it, or nothing once the other end is gone."""
        left = memoryview(data)
        while left and not self._gone:
            try:
                left = left[os.write(self.fileno, left) :]
            except OSError:
                self._lost()

    def run_input_thread(self) -> None:
        """Read what comes from the tab, while there is one."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._lost()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """What the page says beside keys and the mouse: another size, or that it is closed."""
        if packet_type == "quit":
            self._loop.call_soon_threadsafe(partial(self._leaves.leave, 0))
        else:
            super().on_meta(packet_type, payload)

    def _lost(self) -> None:
        self._gone = True
        self._loop.call_soon_threadsafe(self._leaves.hang_up)
