"""A terminal that may vanish: closed window, lost connection. The app leaves, as after SIGHUP.

Textual's writer ends with the first error, and whoever writes thereafter waits for it forever. And
whoever was halted by SIGSTOP, which nobody can catch, and goes on gets a second writer and reader.
"""

from __future__ import annotations

from collections.abc import Callable
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Protocol, cast

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class HangsUp(Protocol):
    """An app that is told when its terminal is gone."""

    def hang_up(self) -> None:
        """Leave; called more than once."""


class Lasting:
    """A file that drops what can no longer be written, and calls `lost` when that begins."""

    def __init__(self, file: IO[str], lost: Callable[[], None]) -> None:
        self._file, self._lost, self._gone = file, lost, False

    def write(self, text: str) -> None:
        """Write, or drop."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Flush, or do nothing."""
        self._try(self._file.flush)

    def _try(self, step: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            step()
        except OSError:
            self._gone = True
            self._lost()

    def fileno(self) -> int:
        """Of the file."""
        return self._file.fileno()


class LastingDriver(LinuxDriver):
    """Textual's driver, for an app that `HangsUp`."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            self._file = cast("TextIOWrapper", Lasting(self._file, self._lost))
        self._has_terminal = False

    def start_application_mode(self) -> None:
        """Take the terminal; a terminal that was not given back before a halt is taken anew."""
        if self._has_terminal:
            self.suspend_application_mode()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._has_terminal = True

    def stop_application_mode(self) -> None:
        """Give the terminal back."""
        super().stop_application_mode()
        self._has_terminal = False

    def run_input_thread(self) -> None:
        """Read what is typed, while there is a terminal."""
        try:
            super().run_input_thread()
        except OSError:
            self._lost()

    def _lost(self) -> None:
        self._loop.call_soon_threadsafe(cast("HangsUp", self._app).hang_up)
