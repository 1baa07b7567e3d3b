"""Sends requests and follows their answers on one event loop; knows no levels and no schedule.

What it learns goes to a `Sink`, and each request's end to `ended`, in the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import aiohttp

from llamatop.engines.server.complaints import complaint
from llamatop.engines.server.exchange import Exchange, RequestError, Sink
from llamatop.engines.server.http import body_of, listen, new_session, troubles
from llamatop.engines.server.orders import Ended, Order
from llamatop.engines.server.secrets import Secrets
from llamatop.events.clock import SECOND
from llamatop.settings.config import Endpoint, RunConfig

PATHS: dict[Endpoint, str] = {
    "completions": "/v1/completions",
    "chat": "/v1/chat/completions",
}

DONE_SECONDS = 1.0
"""How long a stream may stay open after its `[DONE]`."""

AT_ONCE = 4
"""Requests that begin in one turn of the loop: with more each waits longer for the others' making,
with fewer the loop turns so often that the last of many leaves later."""

_JSON = {"Content-Type": "application/json", "Accept": "text/event-stream"}


class _LostError(Exception):
    """A reused connection was closed before a byte of the answer came."""


@dataclass(slots=True)
class _Running:
    order: Order
    task: asyncio.Task[None]
    exchange: Exchange | None = None
    """None: its task has not begun."""
    stalled: bool = False


@dataclass(slots=True)
class _Place:
    """One server, as far as sending to it goes."""

    url: str
    reuse: bool
    session: Any = None


def client_of(
    config: RunConfig,
    secrets: Secrets,
    now: Callable[[], int],
    sink: Sink,
    ended: Callable[[Ended], None],
) -> Client:
    """One that sends as the settings of a run say."""
    return Client(
        config.urls,
        secrets,
        now,
        sink,
        ended,
        endpoint=config.endpoint,
        keep_text=config.text or config.talks,
        timeout=config.timeout,
    )


class Client:
    """Sends to `urls`; belongs to the loop that runs when the first request is sent."""

    def __init__(
        self,
        urls: Sequence[str],
        secrets: Secrets,
        now: Callable[[], int],
        sink: Sink,
        ended: Callable[[Ended], None],
        *,
        endpoint: Endpoint = "completions",
        keep_text: bool = True,
        timeout: float = 60.0,
    ) -> None:
        """`now` in ns; `timeout`: seconds without a token after which a request has failed."""
        self._places = [_Place(url, True) for url in urls]
        self._secrets = secrets
        self._now = now
        self._sink = sink
        self._ended = ended
        self._path = PATHS[endpoint]
        self._keep_text = keep_text
        self._timeout = timeout
        self._waiting: dict[int, Order] = {}
        """Not begun yet, the oldest first."""
        self._beginning = False
        """Whether one begins in the next turn of the loop."""
        self._running: dict[int, _Running] = {}
        self._sessions: list[Any] = []
        self._watching: asyncio.Task[None] | None = None

    def send(self, order: Order) -> None:
        """Begin to send a request, once those before it are on their way.

        A few begin in each turn of the loop, in which those before them go on: of many at once
        each is written before most others are made, so that its times are its own.
        """
        self._waiting[order.request] = order
        if not self._beginning:
            self._begin_some()

    def _begin_some(self) -> None:
        loop = asyncio.get_running_loop()
        self._beginning = bool(self._waiting)
        for request in list(islice(self._waiting, AT_ONCE)):
            order = self._waiting.pop(request)
            self._running[request] = _Running(order, loop.create_task(self._serve(order)))
        if self._beginning:
            loop.call_soon(self._begin_some)

    def cancel(self, request: int) -> None:
        """Take a request back by closing its connection; its end is told as `dropped`."""
        running = self._running.get(request)
        if running is not None:
            running.task.cancel()
            if running.exchange is None:  # nor will it ever: its end is told here
                del self._running[request]
                self._drop(running.order)
        elif (order := self._waiting.pop(request, None)) is not None:
            self._drop(order)

    def _drop(self, order: Order) -> None:
        dropped = Ended(order.request, order.server, "dropped")
        asyncio.get_running_loop().call_soon(self._ended, dropped)

    def never_reuse(self, server: int) -> None:
        """Open a connection for every request to that server from here on."""
        place = self._places[server]
        if place.reuse:
            place.reuse, place.session = False, None  # what still runs keeps the old one

    def begin(self) -> None:
        """A level begins: look for answers that stall."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def rest(self) -> None:
        """A level has ended: nothing is in flight."""
        if self._watching is not None:
            self._watching.cancel()

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions:
            await session.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._timeout / 4))
            now = self._now()
            for running in list(self._running.values()):
                self._look_at(running, now)

    def _look_at(self, running: _Running, now: int) -> None:
        exchange = running.exchange
        if exchange is None:
            return
        if exchange.finished_at is not None and now - exchange.finished_at > DONE_SECONDS * SECOND:
            exchange.close_stream()
        elif now - exchange.token_at > self._timeout * SECOND:
            running.stalled = True
            running.task.cancel()

    async def _serve(self, order: Order) -> None:
        request, server = order.request, order.server
        running = self._running[request]
        try:
            reason = await self._answer(order, running)
            ended = Ended(request, server, "finished", reason)
        except RequestError as failure:
            words = self._secrets.scrub(str(failure))
            ended = Ended(request, server, "failed", words, failure.trouble)
        except asyncio.CancelledError:
            ended = Ended(request, server, "dropped")
            if running.stalled:
                words = f"no token for {self._timeout:g} s (--timeout)"
                ended = Ended(request, server, "failed", words, True)
        except Exception as problem:  # whatever it is, it is this request's alone
            words = self._secrets.scrub(f"{type(problem).__name__}: {problem}")
            ended = Ended(request, server, "failed", words)
        del self._running[request]
        self._ended(ended)

    async def _answer(self, order: Order, running: _Running) -> str:
        """Why it finished. Raises RequestError."""
        try:
            return await self._attempt(order, running)
        except _LostError:
            self.never_reuse(order.server)
            return await self._attempt(order, running, again=True)

    async def _attempt(self, order: Order, running: _Running, again: bool = False) -> str:
        exchange = Exchange(order, self._sink, self._now, self._keep_text, again)
        running.exchange = exchange
        listen(exchange)
        place = self._places[order.server]
        try:
            async with self._session(place).post(
                place.url + self._path, data=order.body, headers=_JSON, allow_redirects=False
            ) as answer:
                await refuse(answer)
                exchange.follow(answer.content)
                return str(await exchange.over)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if exchange.reused and not exchange.touched:
                raise _LostError from None
            raise RequestError(troubles(error), trouble=True) from None
        finally:
            exchange.over.cancel()  # whatever still comes on that connection is nobody's

    def _session(self, place: _Place) -> Any:
        if place.session is None:
            place.session = new_session(self._now, self._secrets.headers, place.reuse)
            self._sessions.append(place.session)
        return place.session


async def refuse(answer: aiohttp.ClientResponse) -> None:
    """Raise RequestError unless the answer is a stream."""
    if 300 <= answer.status < 400:
        raise RequestError(f"HTTP {answer.status}: it redirects, which a key must not follow")
    kind = answer.content_type
    if answer.status == 200 and kind == "text/event-stream":
        return
    words = complaint(await body_of(answer))
    if answer.status == 200:
        raise RequestError(f"no stream came, but {kind}: {words}", trouble=True)
    lost = answer.status >= 500 or "thread died" in words
    raise RequestError(f"HTTP {answer.status}: {words}", trouble=lost)
