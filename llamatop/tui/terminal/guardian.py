"""A guardian of the terminal: gives it back where the process ends without doing so itself.

SIGQUIT, SIGABRT, SIGUSR1, SIGKILL and a segfault leave no time for it. A shell of a few hundred
kilobytes, in a session of its own, waits on a pipe that closes with the process: without a word
before, it turns the screen's modes off and makes the terminal what it was. POSIX only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

OFF = (
    "\\033[?1000l\\033[?1002l\\033[?1003l\\033[?1006l\\033[?1015l"  # the mouse
    "\\033[?2004l\\033[?1004l\\033[<u\\033[>4;0m"  # pasting, focus, keys
    "\\033[0m\\033[?1049l\\033[?7h\\033[?25h"  # colours, the screen, wrapping, the cursor
)
"""What turns every mode off that Textual turns on, for `printf`."""

_SCRIPT = f"""trap '' INT QUIT TERM HUP USR1 USR2 TSTP PIPE
read -r word && exit 0
printf '{OFF}'
stty "$1" <&1
"""


@contextmanager
def guarded() -> Iterator[None]:
    """While the screen has the terminal; without one, or without a shell, nobody watches."""
    guardian = _start()
    try:
        yield
    finally:
        if guardian is not None:
            with suppress(OSError, ValueError):
                guardian.communicate(b"over\n", timeout=1)


def _start() -> subprocess.Popen[bytes] | None:
    stream = sys.__stderr__
    if os.name != "posix" or stream is None or not stream.isatty():
        return None
    try:
        kept = subprocess.run(
            ["stty", "-g"], stdin=stream.fileno(), capture_output=True, check=True
        ).stdout.decode()
        return subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sh", kept.strip()],
            stdin=subprocess.PIPE,
            stdout=stream.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
