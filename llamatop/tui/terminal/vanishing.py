"""A terminal that may vanish: closed window, lost connection. The app leaves, as after SIGHUP.

Textual's writer ends with the first error, and whoever writes thereafter waits for it forever.
A halt and its end are signals, which come at any moment: also in one in which this thread holds a
lock that drawing needs, and a terminal that vanishes sends the second. So they wait for the loop.
Whoever goes on after a halt gets an empty terminal and draws on it only what changes; and after
SIGSTOP, which nobody can catch, a second reader and writer beside those that were never ended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
        self._given_back = False

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(super()._sigcont_application)

    def suspend_application_mode(self) -> None:
        """Give the terminal back."""
        super().suspend_application_mode()
        self._given_back = True

    def resume_application_mode(self) -> None:
        """Take the terminal again, and draw all of it."""
        if not self._given_back:
            self.suspend_application_mode()
        super().resume_application_mode()
        self._given_back = False
        self._loop.call_soon_threadsafe(partial(self._app.refresh, layout=True))

    def run_input_thread(self) -> None:
        """Read what is typed, while there is a terminal."""
        try:
            super().run_input_thread()
        except OSError:
            self._lost()

    def _lost(self) -> None:
        self._loop.call_soon_threadsafe(cast("HangsUp", self._app).hang_up)
