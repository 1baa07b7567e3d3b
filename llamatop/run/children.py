"""Child processes that speak in events: started, read, told, and never outliving their parent.

A child is this package's own module run by the same interpreter, with pipes for stdin and
stdout (see `wire`) and a nameless log file for whatever libraries print.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from llamatop.events.kinds import Event
from llamatop.events.sanitize import clean, one_line
from llamatop.events.wire import Command, read_events, write_command

_ROOT = Path(__file__).resolve().parents[2]

LOG_BYTES = 65_536

_KEPT_LOG = 400
"""Characters of the log's last line that are told of a lost child."""

_starter = ThreadPoolExecutor(1, thread_name_prefix="starter")
"""The thread that starts every child: on Linux a child begins with the priority of its thread, and
that which draws may have lowered its own."""


S = TypeVar("S")


def start(process: Callable[[], S]) -> S:
    """Start a process, and the threads that belong to it, with the usual priority."""
    return _starter.submit(process).result()


class Child:
    """One child process; its events gather in `inbox`, in order."""

    def __init__(self, call: str, env: dict[str, str] | None = None) -> None:
        """`call` is Python: `package.module:main(1, 2)`."""
        self.inbox: deque[list[Event]] = deque()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        self._process = _starter.submit(
            subprocess.Popen[bytes],
            _command(call),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # the terminal's Ctrl-C is for the parent to handle
        ).result()
        self._unreadable = ""
        """Why it was ended, where what it sent made no sense."""
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    @property
    def waiting(self) -> int:
        """Events in `inbox`; costs as much as there are frames, each of many events."""
        return sum(map(len, self.inbox.copy()))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def lost(self) -> bool:
        """Whether it has ended and all that it sent is in `inbox`."""
        return self._process.poll() is not None and not self._reader.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, a signal's number negated; None while it runs."""
        return self._process.poll()

    def tell(self, command: Command) -> None:
        """Send a command; a child that is gone does not hear it."""
        try:
            pipe = cast("BinaryIO", self._process.stdin)
            write_command(pipe, command)
            pipe.flush()
        except (OSError, ValueError):
            return

    def kill(self) -> None:
        """End it now, whatever it is doing, and wait until the kernel has."""
        self._process.kill()
        self._process.wait()

    def reason(self) -> str:
        """Why it ended, in one line: its signal and its last words, as far as there are any."""
        if self._unreadable:
            return self._unreadable
        code, words = self._process.poll(), self._last_line()
        if code is not None and code < 0:
            return f"killed by {_signal_name(-code)}" + (f": {words}" if words else "")
        return words or f"exit code {code}"

    def printed(self) -> list[str]:
        """What its libraries printed: the last lines, `LOG_BYTES` at most, cleaned."""
        return [clean(line) for line in self._tail(LOG_BYTES)]

    def _last_line(self) -> str:
        lines = self._tail(4096)
        return one_line(lines[-1])[:_KEPT_LOG] if lines else ""

    def _tail(self, size: int) -> list[str]:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(self._log.tell() - size, 0))
        return self._log.read().decode("utf-8", "replace").strip().splitlines()

    def _read(self) -> None:
        pipe = cast("BinaryIO", self._process.stdout)
        try:
            while (events := read_events(pipe)) is not None:
                self.inbox.append(events)
        except Exception as error:  # nobody else reads it, and it would wait for ever
            self._unreadable = one_line(f"what it sent could not be read: {error}")
            self._process.kill()


def _command(call: str) -> list[str]:
    """The interpreter with this package importable, whatever lies in the current folder."""
    module, _, expression = call.partition(":")
    function = expression.partition("(")[0]
    code = f"import sys; sys.path.append({str(_ROOT)!r}); from {module} import {function}; "
    return [sys.executable, "-P", "-c", code + expression]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
