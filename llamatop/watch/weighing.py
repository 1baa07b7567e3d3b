"""The memory of watched servers that run on this machine: of the process that has their port.

Asks the system, never a server.
"""

from __future__ import annotations

import psutil

from llamatop.events.clock import Clock
from llamatop.events.kinds import ServerWeighed
from llamatop.hardware.listening import DeviceMemory, listener, resident, tree
from llamatop.settings.servers import port_of

ANEW = 10
"""Every so many looks the processes are looked for again."""


class Weighing:
    """Weighs one server; its methods are called by one thread at a time."""

    def __init__(self, server: int, url: str, clock: Clock, devices: DeviceMemory) -> None:
        self._server = server
        self._port = port_of(url)
        self._clock = clock
        self._devices = devices
        self._processes: list[psutil.Process] = []
        self._looks = 0

    def look(self) -> list[ServerWeighed]:
        """What it takes now; nothing where its process is not known, and never was."""
        if self._looks % ANEW == 0:
            found = listener(self._port)
            self._processes = tree(found) if found is not None else []
        self._looks += 1
        if not self._processes:
            return []
        return [
            ServerWeighed(
                self._clock.now(),
                self._server,
                resident(self._processes),
                self._devices.of(self._processes),
                len(self._processes),
            )
        ]
