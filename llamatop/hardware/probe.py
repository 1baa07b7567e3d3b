"""The probe's process: samples machine, engine, servers and devices until its parent is gone.

A process of its own, so that a driver that hangs or crashes takes nothing else with it.
Usage (by `children.Child`): `main(origin, interval)`; commands on stdin say what to watch.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import BinaryIO

import psutil

from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import Event, HostSampled
from llamatop.events.wire import Watch, claim_stdio, read_command, write_events
from llamatop.hardware import nvidia
from llamatop.hardware.host import memory
from llamatop.hardware.listening import Descendants, Listeners
from llamatop.hardware.memory import resident_bytes, total


class Probe:
    """Samples every `interval` seconds; each thread sends what it knows as soon as it does."""

    def __init__(self, events: BinaryIO, clock: MonotonicClock, interval: float) -> None:
        self._events = events
        self._clock = clock
        self._interval = interval
        self._writing = threading.Lock()
        self._engine: _Busy | None = None
        self._servers: Listeners | Descendants | None = None
        self._server_device_bytes: int | None = None
        """What the servers' processes held last of accelerators."""
        self._monitor = _Busy(psutil.Process(os.getppid()))

    def start(self) -> None:
        """Begin sampling, host and devices each on a thread of its own."""
        for task in (self._sample_host, self._sample_devices):
            threading.Thread(target=task, daemon=True).start()

    def watch(self, what: Watch) -> None:
        """From now on this engine process, and these servers."""
        if what.server is not None:
            self._servers = Descendants(what.server)
        else:
            self._servers = Listeners(what.ports) if what.ports else None
        try:
            self._engine = (
                None if what.engine is None else _Busy(psutil.Process(what.engine), what.followers)
            )
        except psutil.Error:
            self._engine = None

    def _sample_host(self) -> None:
        pause = threading.Event()
        psutil.cpu_percent(percpu=True)  # the first call has nothing to compare with
        while not pause.wait(self._interval):
            self._send([self._host()])

    def _sample_devices(self) -> None:
        nvml = nvidia.open_nvml()
        pause = threading.Event()
        while nvml is not None and not pause.wait(self._interval):
            if (servers := self._servers) is not None:
                pids = {process.pid for process in servers.processes}
                self._server_device_bytes = nvidia.held_by(nvml, pids)
            self._send(nvidia.sample(nvml, self._clock.now()))

    def _host(self) -> HostSampled:
        now, engine, servers = memory(), self._engine, self._servers
        return HostSampled(
            self._clock.now(),
            used_bytes=now.used,
            available_bytes=now.available,
            total_bytes=now.total,
            cpu_percent=tuple(psutil.cpu_percent(percpu=True)),
            engine_bytes=None if engine is None else engine.resident(),
            engine_cpu_percent=None if engine is None else engine.percent(),
            monitor_cpu_percent=self._monitor.percent(),
            server_bytes=None if servers is None else servers.resident(),
            server_device_bytes=None if servers is None else self._server_device_bytes,
        )

    def _send(self, events: Sequence[Event]) -> None:
        with self._writing:
            try:
                write_events(self._events, events)
            except OSError:
                os._exit(0)


class _Busy:
    """How busy a process is, from one look to the next, with its children where they count."""

    def __init__(self, process: psutil.Process, children: bool = False) -> None:
        self._processes = [process]
        self._children = children
        self._seen = False

    def percent(self) -> float | None:
        """Percent of one core since the last look; None at the first, and when it is gone."""
        first, self._seen = not self._seen, True
        try:
            self._look()
            busy = sum(process.cpu_percent() for process in self._processes)
        except psutil.Error:
            return None
        return None if first else busy

    def resident(self) -> int | None:
        """Their resident bytes."""
        return total(resident_bytes(process.pid) for process in self._processes)

    def _look(self) -> None:
        """Children that are new; those known go on, since each compares with its own last look."""
        if self._children:
            head = self._processes[0]
            found = {child.pid: child for child in head.children()}
            known = {one.pid: one for one in self._processes[1:]}
            self._processes = [head, *(known.get(pid, one) for pid, one in found.items())]


def main(origin: int, interval: float) -> None:
    """Sample until stdin ends."""
    commands, events = claim_stdio()
    probe = Probe(events, MonotonicClock(origin), interval)
    probe.start()
    while (command := read_command(commands)) is not None:
        if isinstance(command, Watch):
            probe.watch(command)
    os._exit(0)
