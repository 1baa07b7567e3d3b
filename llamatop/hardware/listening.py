"""The process that listens on a port of this machine, or that we started, and what its tree takes.

Knows no server. Where the system does not say, nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psutil

from llamatop.hardware import nvidia


def listener(port: int) -> psutil.Process | None:
    """The process that listens there, the eldest of its tree that does; None: not known."""
    try:
        pids = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        }
        found = [psutil.Process(pid) for pid in pids if pid is not None]
        return min(found, key=lambda process: process.create_time(), default=None)
    except (psutil.Error, OSError):
        return None


def tree(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started; empty once it is gone."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def resident(processes: list[psutil.Process]) -> int | None:
    """Their resident bytes together; memory that they share counts in each. None: all are gone."""
    sizes = []
    for process in processes:
        with suppress(psutil.Error):
            sizes.append(int(process.memory_info().rss))
    return sum(sizes) if sizes else None


class Listeners:
    """The processes of several ports, together; asked by one thread at a time."""

    def __init__(self, ports: Sequence[int], every: int = 20) -> None:
        """They are looked for again at every so many-th look, and once all are gone."""
        self._found: dict[int, list[psutil.Process]] = {port: [] for port in ports}
        self._seen: set[int] = set()
        self._every = every
        self._looks = 0

    @property
    def processes(self) -> list[psutil.Process]:
        """Those found last, each once; none while the process of a port was never seen."""
        if len(self._seen) < len(self._found):
            return []
        return list({one for found in self._found.values() for one in found})

    def resident(self) -> int | None:
        """Their resident bytes; None while the process of a port was never seen, or all are gone.

        A process that has two of the ports, or started one that has, counts once.
        """
        if self._looks % self._every == 0:
            self._look()
        self._looks += 1
        processes = self.processes
        size = resident(processes)
        if processes and size is None:
            self._looks = 0
        return size

    def _look(self) -> None:
        for port in self._found:
            process = listener(port)
            self._found[port] = tree(process) if process is not None else []
            self._seen |= {port} if process is not None else set()


class Descendants:
    """All that one process started, asked by one thread at a time."""

    def __init__(self, pid: int, every: int = 4) -> None:
        """They are looked for again at every so many-th look."""
        self._root = pid
        self.processes: list[psutil.Process] = []
        """Those found last."""
        self._every = every
        self._looks = 0

    def resident(self) -> int | None:
        """Their resident bytes; None where there are none."""
        if self._looks % self._every == 0:
            self._look()
        self._looks += 1
        return resident(self.processes)

    def _look(self) -> None:
        try:
            self.processes = psutil.Process(self._root).children(recursive=True)
        except psutil.Error:
            self.processes = []


class DeviceMemory:
    """What processes hold of this machine's accelerators; None where no driver tells."""

    def __init__(self) -> None:
        self._nvml: Any = nvidia.open_nvml()

    def of(self, processes: list[psutil.Process]) -> int | None:
        """Bytes together. In a container the driver's numbers of processes are the host's."""
        if self._nvml is None:
            return None
        pids = {process.pid for process in processes}
        return nvidia.held_by(self._nvml, pids)
