"""Rehearsals of damaged recordings in copies of one process that has its imports done.

`recording.checks.rehearse` tries a file in a process that may die of it. A new interpreter is most
of what that takes; a copy of one that has polars runs the same script, and dies as well.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from typing import Any


class Warm:
    """In the place of `subprocess`, for a script that is given to an interpreter."""

    DEVNULL, TimeoutExpired = subprocess.DEVNULL, subprocess.TimeoutExpired

    def __init__(self) -> None:
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(
        self, command: list[str], *, input: bytes, **_: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """The command's `-c SCRIPT ARGUMENT ...` in a copy, to its end."""
        try:
            said = "\0".join(command[command.index("-c") + 1 :]).encode()
            return subprocess.CompletedProcess(command, self._answer(said, input))
        except BaseException:  # what it answers to this is not the answer to the next
            self.close()
            self._process = self._begin()
            raise

    def _answer(self, *parts: bytes) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for part in parts:
            self._process.stdin.write(len(part).to_bytes(8, "big") + part)
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it, and the copy at work."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def serve() -> None:
    """Run what comes by stdin, one after the other, and tell each one's exit code."""
    import polars  # noqa: F401, PLC0415  (for the copies; it starts its workers with the first frame)

    while said := _part():
        data = _part()
        child = os.fork()
        if not child:
            _script(said.decode(), data)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.buffer.write(b"%d\n" % code)
        sys.stdout.buffer.flush()


def _part() -> bytes:
    return sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))


def _script(said: str, data: bytes) -> None:
    code = 1
    try:
        script, *arguments = said.split("\0")
        sys.argv = ["-c", *arguments]
        sys.stdin = io.TextIOWrapper(io.BytesIO(data))
        exec(script, {"__name__": "__main__"})
        code = 0
    finally:
        os._exit(code)


def keep_warm() -> Warm:
    """From now on in this process `checks.rehearse` works with it."""
    from llamatop.recording import checks  # noqa: PLC0415  (not in the process that is copied)

    warm = Warm()
    checks.subprocess = warm  # type: ignore[assignment]
    return warm


if __name__ == "__main__":
    serve()
