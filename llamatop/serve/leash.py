"""Runs a server, and ends it with all that it started when nobody holds the leash any more.

    python -I -S leash.py COMMAND ...

A program of its own, of the standard library alone, so that it starts at once, is small, and
outlives whatever becomes of llamatop. Standard input is the leash: when it ends, the server is
asked to end (SIGTERM), and `HASTE` seconds later it is ended; a line with a number of seconds does
the same with that patience. On Linux whatever the server started and left to itself comes to this
process, so nothing is overlooked; elsewhere its process group is ended. What a server has others
start for it (a container by its daemon) is theirs. Ends with the server's exit code, 128 + N for
signal N.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

HASTE = 0.5
"""Seconds that a server has to end by itself, once nobody holds the leash."""

NOT_STARTED = 127
"""Exit code where the command cannot be run, as a shell's."""

_PDEATHSIG, _CHILD_SUBREAPER = 1, 36
"""Of prctl, in linux/prctl.h."""

_LINUX = sys.platform.startswith("linux")


class Leash:
    """One server, from its start until nothing of it is left."""

    def __init__(self, command: list[str]) -> None:
        """Raises OSError where it cannot be run."""
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._signalled)
        self._let_go = False
        self._code: int | None = None
        if _LINUX:
            ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_tied,  # noqa: PLW1509
        ).pid
        self._until: float | None = None
        """When patience ends."""

    def hold(self) -> int:
        """Wait for the server's end, or end it; its exit code."""
        while self._code is None and not self._over():
            patience = None if self._until is None else max(self._until - time.monotonic(), 0)
            ready, _, _ = select.select([*self._held(), self._woken], [], [], patience)
            if 0 in ready:
                self._listen()
            if self._woken in ready:
                os.read(self._woken, 4096)
            if self._let_go:
                self._ask(HASTE)
            self._reap()
        self._end_all()
        code = self._code or 0
        return 128 - code if code < 0 else code

    def _over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _held(self) -> list[int]:
        return [] if self._let_go else [0]

    def _listen(self) -> None:
        words = os.read(0, 4096)
        self._let_go = self._let_go or not words
        self._ask(min(map(float, words.split()), default=HASTE))

    def _ask(self, patience: float) -> None:
        """Ask the server to end, once; what was allowed before is never made longer."""
        until = time.monotonic() + patience
        if self._until is None:
            self._until = until
            with suppress(ProcessLookupError):
                os.kill(self._server, signal.SIGTERM)
        self._until = min(until, self._until)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._let_go = self._let_go or number != signal.SIGCHLD

    def _reap(self) -> bool:
        """Take note of who has ended; whether any is left."""
        try:
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._server:
                    self._code = os.waitstatus_to_exitcode(found[1])
        except ChildProcessError:
            return False
        return True

    def _end_all(self) -> None:
        """Until nothing is left: what starts meanwhile is found in the next round."""
        if self._code is None or not _LINUX:
            with suppress(OSError):
                os.killpg(self._server, signal.SIGKILL)
        while self._reap():
            for pid in descendants(os.getpid()):
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def descendants(root: int) -> list[int]:
    """All processes that a process started, as far as the system tells; Linux only."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
    found = [root]
    for one in found:
        found += [pid for pid, parent in parents.items() if parent == one]
    return found[1:]


def _tied() -> None:
    """In the server, before it is one: it ends with the leash, and is the first to go when memory
    ends."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PDEATHSIG, int(signal.SIGKILL))
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> int:
    """Run the command; its exit code."""
    try:
        leash = Leash(sys.argv[1:])
    except OSError as error:
        os.write(2, f"{sys.argv[1]}: {error.strerror}\n".encode("utf-8", "replace"))
        return NOT_STARTED
    return leash.hold()


if __name__ == "__main__":
    sys.exit(main())
