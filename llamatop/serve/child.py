"""A server's process on its leash: what it prints, whether it lives, and its end.

Reads all that it prints, so that it never waits for a reader, and keeps the last lines.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, cast

from llamatop.events.sanitize import one_line
from llamatop.serve import leash
from llamatop.serve.command import Plan

KEPT_LINES = 200
LINE_CHARACTERS = 500
"""Of a line that a server prints; the rest is dropped."""

_END = re.compile(rb"[\r\n]+")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LAST_BYTES = 64 * 1024


class ServerProcess:
    """One server that runs. `scrub` takes secrets out of what it prints."""

    def __init__(self, plan: Plan, scrub: Callable[[str], str]) -> None:
        """Raises OSError where no process can be started at all."""
        self._scrub = scrub
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        """What it printed last, cleaned."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, *plan.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **plan.environment},
            start_new_session=True,  # the terminal's Ctrl-C is for us to handle
        )
        self._reader = threading.Thread(target=self._read, name="server's output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the leash, whose descendants the server is."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The server's exit code, a signal's number negated; None while any of it runs."""
        code = self._process.poll()
        return code if code is None or code <= 128 else 128 - code

    def reason(self) -> str:
        """How it ended, in one line, with its last words."""
        self._reader.join(1)  # what it printed may still be on its way
        code = self.exit_code
        if code is not None and code < 0:
            with suppress(ValueError):
                return self._with_words(f"killed by {signal.Signals(-code).name}")
        return self._with_words(f"exit code {code}")

    def _with_words(self, how: str) -> str:
        last = next((line for line in reversed(self.lines) if line.strip()), "")
        return f"{how}: {last}" if last else how

    def ask_to_end(self, seconds: float) -> None:
        """Let it end by itself within some seconds, after which it is ended; returns at once."""
        with suppress(OSError, ValueError):
            pipe = cast("BinaryIO", self._process.stdin)
            pipe.write(f"{seconds}\n".encode())
            pipe.flush()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing of it is left; False: it still ends, in the leash's hands."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self) -> None:
        pipe, rest = cast("BinaryIO", self._process.stdout).fileno(), b""
        while True:
            try:
                data = os.read(pipe, _LAST_BYTES)
            except OSError:
                data = b""
            *lines, rest = _END.split(rest + data) if data else [rest, b""]
            for line in lines[-KEPT_LINES:]:
                self._keep(line)
            rest = rest[:LINE_CHARACTERS]
            if not data:
                return

    def _keep(self, line: bytes) -> None:
        text = _COLOURS.sub("", line[: 4 * LINE_CHARACTERS].decode("utf-8", "replace"))
        if text.strip():
            self.lines.append(one_line(self._scrub(text))[:LINE_CHARACTERS].strip())
