"""A client in a process of its own: takes orders on stdin, tells events and ends on stdout.

What it learns goes out in batches, an end at once. When the parent's pipe ends, so does it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import BinaryIO

import msgspec

from llamatop.engines.server import lag
from llamatop.engines.server.client import client_of
from llamatop.engines.server.loops import new_loop
from llamatop.engines.server.orders import Ended, Order, Reopen, Serving, TakeBack
from llamatop.engines.server.secrets import Secrets
from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import AnyEvent, Event, TokensEmitted
from llamatop.events.wire import claim_stdio, read_frame, write_frame
from llamatop.settings.config import RunConfig

TELL_SECONDS = 0.02
"""How long an event may wait to be told."""

decode_told = msgspec.msgpack.Decoder(list[AnyEvent | Ended]).decode
"""What one frame of a worker holds."""

encode = msgspec.msgpack.Encoder().encode
_decode_told_to = msgspec.msgpack.Decoder(Order | TakeBack | Reopen | Serving).decode


class Worker:
    """Carries out orders on one loop; a `Sink`."""

    def __init__(
        self, config: RunConfig, clock: MonotonicClock, number: int, out: BinaryIO
    ) -> None:
        self._clock = clock
        self._number = number
        self._out = out
        self._told: list[Event | Ended] = []
        secrets = Secrets(config.api_key_env, config.headers, os.environ)
        self._client = client_of(config, secrets, clock.now, self, self._end)
        self._beside: list[asyncio.Task[None]] = []

    def obey(self, order: Order | TakeBack | Reopen | Serving) -> None:
        """Carry out one order."""
        match order:
            case Order():
                self._client.send(order)
            case TakeBack(request):
                self._client.cancel(request)
            case Reopen(server):
                self._client.never_reuse(server)
            case Serving(on=True):
                loop = asyncio.get_running_loop()
                self._client.begin()
                sample = lag.sample(self._number, self._clock.now, self.tell)
                self._beside = [loop.create_task(sample), loop.create_task(self._flush_often())]
            case Serving():
                self._client.rest()
                for task in self._beside:
                    task.cancel()

    def emit(self, request: int, time: int, count: int, text: str | None) -> None:
        """New tokens."""
        self._told.append(TokensEmitted(time, request, count, text))

    def tell(self, event: Event) -> None:
        """Anything else."""
        self._told.append(event)

    def _end(self, ended: Ended) -> None:
        self._told.append(ended)
        self._flush()

    async def _flush_often(self) -> None:
        try:
            while True:
                await asyncio.sleep(TELL_SECONDS)
                self._flush()
        finally:
            self._flush()

    def _flush(self) -> None:
        if self._told:
            told, self._told = self._told, []
            write_frame(self._out, encode(told))


def main(number: int, origin: int) -> None:
    """Work until stdin ends; the first frame is the run's config."""
    commands, out = claim_stdio()
    first = read_frame(commands)
    if first is None:
        os._exit(0)
    config = msgspec.msgpack.decode(first, type=RunConfig)
    worker = Worker(config, MonotonicClock(origin), number, out)
    loop = new_loop()

    def listen() -> None:
        while (frame := read_frame(commands)) is not None:
            loop.call_soon_threadsafe(worker.obey, _decode_told_to(frame))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    asyncio.set_event_loop(loop)
    gc.freeze()  # it stays: a collection that looks at it keeps the loop from reading
    loop.run_forever()
