"""A server of pages, and a tab without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from llamatop.web.server import WebServer

SAYS = ("/bin/sh", "-c", "echo no such model >&2; exit 2")
"""A program that ends at once."""


@dataclass
class Served:
    """A server, and a client that is no browser."""

    server: WebServer
    client: aiohttp.ClientSession
    told: list[str]
    """What programs said after their tabs were closed."""

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    async def status(self, path: str = "/", **headers: str) -> int:
        async with self.client.get(f"http://{self.at}{path}", headers=headers) as answer:
            return answer.status

    async def open(self, below: str = "", **headers: str) -> "Tab":
        headers = {"Origin": f"http://{self.at}", **headers}
        path = f"http://{self.at}/ws{below}?width=120&height=36"
        return Tab(await self.client.ws_connect(path, headers=headers))


@dataclass
class Tab:
    """What a page does with its socket."""

    socket: aiohttp.ClientWebSocketResponse
    seen: bytes = field(default=b"")

    async def send(self, kind: str, content: object) -> None:
        await self.socket.send_str(json.dumps([kind, content]))

    async def until(self, condition: Callable[[bytes], object], seconds: float = 120) -> None:
        """Read until the condition holds of all that was seen."""
        async with asyncio.timeout(seconds):
            while not condition(self.seen):
                message = await self.socket.receive()
                assert message.type == aiohttp.WSMsgType.BINARY, (message, self.seen[-2000:])
                self.seen += message.data

    async def end(self, seconds: float = 120) -> str:
        """All until the server closes it, as text."""
        async with asyncio.timeout(seconds):
            async for message in self.socket:
                if message.type == aiohttp.WSMsgType.BINARY:
                    self.seen += message.data
        return self.seen.decode()


Serving = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serving() -> Serving:
    """Serve such a program at such a host."""

    @asynccontextmanager
    async def serve(
        arguments: Sequence[str] = SAYS,
        host: str = "127.0.0.1",
        follow: Callable[[str], Sequence[str]] | None = None,
    ) -> AsyncIterator[Served]:
        told: list[str] = []
        server = WebServer(arguments, host, 0, title="a title", tell=told.append, follow=follow)
        jar = aiohttp.CookieJar(unsafe=True)  # of addresses too, as browsers
        async with server.serving(), aiohttp.ClientSession(cookie_jar=jar) as client:
            yield Served(server, client, told)

    return serve
