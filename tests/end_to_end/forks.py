"""Calls of llamatop in copies of one process that has its imports done, which is `forking`.

A call from the start of the interpreter costs half a second, most of it the same each time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

SECONDS = 250
"""After which a call of some seconds hangs, also where much else runs."""


@dataclass(frozen=True)
class Done:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


class Forks:
    """The process, and what to tell it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = self._begin()

    def _begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.forking"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, arguments: Sequence[str], folder: Path, env: dict[str, str]) -> Done:
        """A call to its end; one that hangs is killed."""
        out, err = self._folder / "out", self._folder / "err"
        call = {"arguments": arguments, "folder": str(folder), "env": env}
        try:
            code = self._call(json.dumps({**call, "out": str(out), "err": str(err)}))
        except BaseException:  # what it answers to this call is not the answer to the next
            self.close()
            self._process = self._begin()
            raise
        return Done(code, *(file.read_text("utf-8") for file in (out, err)))

    def _call(self, line: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        overdue = threading.Timer(SECONDS, os.kill, (self._told(), signal.SIGKILL))
        overdue.start()
        try:
            return self._told()
        finally:
            overdue.cancel()

    def _told(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
