"""textual-serve's server with our own page, our own gate, and an end for whatever it started."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp_jinja2
from aiohttp import web
from textual_serve.server import Server, to_int

from llamatop.errors import InputError
from llamatop.web.gate import SOCKET, Gate, secure
from llamatop.web.program import Program

PAGE = Path(__file__).parent / "page"
"""The page with its style and its script."""

OWN = "/own"
"""The page, and below `SOCKET` the socket, of a tab that follows no other."""

HEARTBEAT = 15.0
"""Seconds after which a tab that says nothing is asked whether it is there."""

_NONSENSE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a message raises that no page of ours sends."""


class WebServer(Server):
    """Serves a page at `host`, with a program of such arguments behind each tab.

    `follow` makes the arguments of a program that shows a recording which another tab's makes;
    without it every tab's is its own. `tell` gets what a program says after its tab was closed.
    InputError where it cannot listen.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        host: str,
        port: int,
        *,
        title: str,
        tell: Callable[[str], None],
        follow: Callable[[str], Sequence[str]] | None = None,
    ) -> None:
        try:
            self.gate = Gate(host)
            self._listening = _listen(host, port)
        except OSError as error:
            where = f"--host {host} --port {port}"
            raise InputError(f"{where}: cannot be served at: {error.strerror}") from None
        port = self._listening.getsockname()[1]
        super().__init__("", host, port, title, templates_path=PAGE)
        self._arguments = arguments
        self._tell = tell
        self._follow = follow
        self.programs: set[Program] = set()
        """Of the tabs that are open."""

    @property
    def link(self) -> str:
        """What to open, with the token where one is needed."""
        host = socket.gethostname() if self.host in ("", "0.0.0.0", "::") else self.host
        token = f"?token={self.gate.token}" if self.gate.token is not None else ""
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/{token}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer meanwhile; then end, all programs with it."""
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listening).start()
            yield
        finally:
            await runner.cleanup()

    async def serve_until_ended(self, begun: Callable[[], None]) -> int:
        """Answer until a signal comes, `begun` called first; 128 and the signal.

        A second signal does not wait for the programs.
        """
        async with self.serving():
            begun()
            return 128 + await _signalled()

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self.gate.answer)
        app.on_response_prepare.append(secure)
        app.router.add_get(OWN, self.handle_index)
        app.router.add_get(SOCKET + OWN, self.handle_websocket)
        app.router.add_static("/page", PAGE)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: whoever made it knows."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End every program."""
        await asyncio.gather(*(program.stop() for program in self.programs))

    @aiohttp_jinja2.template("index.html")
    async def handle_index(self, request: web.Request) -> dict[str, object]:
        """The page, all of whose addresses are on the host that the gate has let pass."""
        return {
            "title": self.title,
            "font_size": min(max(to_int(request.query.get("fontsize", ""), 15), 6), 40),
            "socket": f"ws://{request.host}{SOCKET}{OWN if request.path == OWN else ''}",
        }

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A tab: its program runs as long as its socket is open."""
        tab = web.WebSocketResponse(heartbeat=HEARTBEAT)
        await tab.prepare(request)
        arguments = self._arguments if request.path.endswith(OWN) else self._shared()
        program = Program(arguments, tab, self.download_manager, self._tell)
        self.programs.add(program)
        try:
            width, height = (to_int(request.query.get(of, ""), 80) for of in ("width", "height"))
            await program.start(width, height)
            with suppress(*_NONSENSE):
                await self._process_messages(tab, program)
        finally:
            await program.stop()
            self.programs.discard(program)
        return tab

    def _shared(self) -> Sequence[str]:
        """Who follows the run of another tab, where one runs."""
        running = next(filter(None, (program.recording for program in self.programs)), None)
        return self._arguments if self._follow is None or running is None else self._follow(running)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, for which no name is asked twice. OSError where it cannot be."""
    family, kind, *_, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE)[0]  # fmt: skip
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


async def _signalled() -> int:
    """The number of the signal that ends it; from then on signals do what they usually do."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Queue[int] = asyncio.Queue()
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, caught.put_nowait, number)
    try:
        return await caught.get()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
