"""Several processes that send, where one is not enough: orders go round, what they tell comes back.

Speaks to `worker` as `Client` is spoken to; each process has its own loop and connections.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from llamatop.engines.server.exchange import Sink
from llamatop.engines.server.orders import Ended, Order, Reopen, Serving, TakeBack
from llamatop.engines.server.worker import decode_told, encode
from llamatop.events.kinds import Event, TokensEmitted
from llamatop.events.wire import read_frame, write_frame
from llamatop.settings.config import RunConfig

STREAMS = 512
"""Requests at once that one process carries: at 20 tokens/s each they took it 40 % of a core."""

_ROOT = Path(__file__).resolve().parents[3]


def processes_for(config: RunConfig, cores: int) -> int:
    """How many processes send: what was asked for, else one for so many requests at once."""
    if config.client_processes is not None:
        return config.client_processes
    wanted = -(-max(config.concurrency) // STREAMS)
    return max(min(wanted, cores // 2), 1)


class Crew:
    """So many workers; what they tell arrives in the loop's thread."""

    def __init__(
        self,
        config: RunConfig,
        origin: int,
        size: int,
        *,
        loop: asyncio.AbstractEventLoop,
        sink: Sink,
        ended: Callable[[Ended], None],
    ) -> None:
        """`origin` is the run's clock's."""
        self._loop = loop
        self._sink = sink
        self._ended = ended
        self._at: dict[int, int] = {}
        """Which worker has a request."""
        self._turn = 0
        first = msgspec.msgpack.encode(config)
        self._workers = [_start(number + 1, origin) for number in range(size)]
        for worker, process in enumerate(self._workers):
            self._tell(worker, first)
            threading.Thread(target=self._read, args=(worker, process), daemon=True).start()

    def send(self, order: Order) -> None:
        """Give a request to the worker whose turn it is."""
        for _ in self._workers:
            self._turn = (self._turn + 1) % len(self._workers)
            if self._tell(self._turn, encode(order)):
                self._at[order.request] = self._turn
                return
        self._loop.call_soon(self._ended, _lost(order.request))

    def cancel(self, request: int) -> None:
        """Take a request back."""
        if (worker := self._at.get(request)) is not None:
            self._tell(worker, encode(TakeBack(request)))

    def never_reuse(self, server: int) -> None:
        """Open a connection for every request to that server from here on."""
        self._tell_all(encode(Reopen(server)))

    def begin(self) -> None:
        """A level begins."""
        self._tell_all(encode(Serving(True)))

    def rest(self) -> None:
        """A level has ended."""
        self._tell_all(encode(Serving(False)))

    async def close(self) -> None:
        """End the workers."""
        for process in self._workers:
            process.kill()
            await asyncio.to_thread(process.wait)

    def _tell_all(self, frame: bytes) -> None:
        for worker in range(len(self._workers)):
            self._tell(worker, frame)

    def _tell(self, worker: int, frame: bytes) -> bool:
        """Whether it could be told."""
        pipe = cast("BinaryIO", self._workers[worker].stdin)
        try:
            write_frame(pipe, frame)
            pipe.flush()
        except (OSError, ValueError):
            return False
        return True

    def _read(self, worker: int, process: subprocess.Popen[bytes]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits for more
            for told in _told_by(process):
                self._loop.call_soon_threadsafe(self._take, told)
            self._loop.call_soon_threadsafe(self._lose, worker)

    def _take(self, told: Sequence[Event | Ended]) -> None:
        for one in told:
            if isinstance(one, TokensEmitted):
                self._sink.emit(one.request, one.time, one.count, one.text)
            elif isinstance(one, Ended):
                self._at.pop(one.request, None)
                self._ended(one)
            else:
                self._sink.tell(one)

    def _lose(self, worker: int) -> None:
        """A worker is gone: so are its requests."""
        for request in [request for request, at in self._at.items() if at == worker]:
            del self._at[request]
            self._ended(_lost(request))


def _told_by(process: subprocess.Popen[bytes]) -> Iterator[Sequence[Event | Ended]]:
    """What a worker tells until it ends; one that makes no sense is ended.

    Afterwards it is gone for sure: nobody would answer an order that still got into its pipe.
    """
    pipe = cast("BinaryIO", process.stdout)
    with suppress(Exception):
        while (frame := read_frame(pipe)) is not None:
            yield decode_told(frame)
    process.kill()
    process.wait()


def _lost(request: int) -> Ended:
    return Ended(request, 0, "failed", "the process that sent it ended")


def _start(number: int, origin: int) -> subprocess.Popen[bytes]:
    code = (
        f"import sys; sys.path.append({str(_ROOT)!r}); "
        f"from llamatop.engines.server.worker import main; main({number}, {origin})"
    )
    command = [sys.executable, "-P", "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
