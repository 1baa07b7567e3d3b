"""A terminal that a person may come back to: tmux, a server of its own, a window a program."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Window:
    """One of a server's."""

    server: Tmux
    name: str

    def press(self, *keys: str) -> None:
        self.server.call("send-keys", "-t", self.name, *keys)

    @property
    def lines(self) -> list[str]:
        """What it shows; spaces at the end of a line are none."""
        return self.server.call("capture-pane", "-p", "-t", self.name).split("\n")[:-1]


@dataclass(frozen=True)
class Tmux:
    """Its socket, and what its programs are started with."""

    socket: Path
    env: Mapping[str, str]
    columns: int
    rows: int

    def call(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-u", "-S", str(self.socket), "-f", "/dev/null", *arguments],
            env=self.env, check=True, capture_output=True, encoding="utf-8", timeout=60,
        ).stdout  # fmt: skip

    def open(self, name: str, command: Sequence[str], folder: Path) -> Window:
        """A window in which the program begins, and which stays when it has ended."""
        self.call(
            "new-session", "-d", "-s", name, "-c", str(folder),
            "-x", str(self.columns), "-y", str(self.rows), shlex.join(command),
            ";", "set-option", "-g", "status", "off",
            ";", "set-option", "-g", "remain-on-exit", "on",
        )  # fmt: skip
        return Window(self, name)


@contextmanager
def tmux(folder: Path, env: Mapping[str, str], columns: int, rows: int) -> Iterator[Tmux]:
    """A server, which ends with this."""
    server = Tmux(folder / "tmux", {**env, "LC_ALL": "C.UTF-8"}, columns, rows)
    try:
        yield server
    finally:
        server.call("kill-server")
