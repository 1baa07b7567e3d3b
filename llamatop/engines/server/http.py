"""HTTP with the times of its bytes: when a connection was there, when a read brought something.

aiohttp's own protocol and pool, each looked at in one place: the protocol notes the time of a
read before it parses it and hands the body to who waits for it in the same call, the pool says
which connection a request got. Knows no JSON and no tokens.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler

from llamatop.events.sanitize import one_line

CONNECT_SECONDS = 10.0
"""How long a connection may take to be made."""

MOST_ERROR_BYTES = 64 << 10
"""So much of a refusal's body is read."""


class Listener(Protocol):
    """Who waits for an answer."""

    def asked(self) -> None:
        """The request is made, and asks for a connection."""
        ...

    def connected(self, reused: bool) -> None:
        """A connection is there; `reused`: it has carried another answer."""
        ...

    def received(self, time: int) -> None:
        """A read brought bytes, at `time` (ns); they are not parsed yet."""
        ...

    def parsed(self) -> None:
        """What there is of the answer's body may be read now, its end included."""
        ...


_listening: ContextVar[Listener | None] = ContextVar("listening", default=None)


def listen(listener: Listener) -> None:
    """Whatever the current task requests from here on is told to `listener`."""
    _listening.set(listener)


class _Protocol(ResponseHandler):
    """Tells the time of each read before it is parsed."""

    listener: Listener | None = None
    carried = False
    """Whether it has served a request."""
    now: Callable[[], int]

    def data_received(self, data: bytes) -> None:
        listener = self.listener
        if listener is None or not data:  # aiohttp itself calls without data, to go on parsing
            super().data_received(data)
            return
        listener.received(self.now())
        super().data_received(data)
        listener.parsed()

    def eof_received(self) -> None:
        super().eof_received()
        if self.listener is not None:
            self.listener.parsed()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener.parsed()


class _Request(aiohttp.ClientRequest):
    """Begins to write in the call that sends it, as aiohttp does from Python 3.12 on.

    Before, it is written by a task, which begins once the loop has read from all other connections.
    """

    def write_bytes(self, *given: Any) -> Any:
        """What is left to be done of writing."""
        writing = super().write_bytes(*given)
        if sys.version_info >= (3, 12):
            return writing
        try:
            waits_for = writing.send(None)
        except StopIteration:
            return _nothing()
        return _go_on(writing, waits_for)


async def _nothing() -> None:
    """It is done."""


@types.coroutine
def _go_on(begun: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of what was begun outside any task, and waits."""
    yield waits_for
    yield from begun


class _Connector(aiohttp.TCPConnector):
    """Says which connection a request got."""

    def __init__(self, now: Callable[[], int], **options: Any) -> None:
        super().__init__(**options)
        kind = type("_Stamped", (_Protocol,), {"now": staticmethod(now)})
        self._factory = functools.partial(kind, loop=self._loop)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        listener = _listening.get()
        if listener is not None:
            listener.asked()
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if isinstance(protocol, _Protocol):
            protocol.listener = listener
            if listener is not None:
                listener.connected(protocol.carried)
            protocol.carried = True
        return connection


def new_session(now: Callable[[], int], headers: dict[str, str], reuse: bool) -> Any:
    """A client session on the running loop; `now` (ns) is the clock of its reads.

    As many connections as are asked for, no cookies, no proxies, no compression: a compressed
    stream would be held back. TLS is verified.
    """
    return aiohttp.ClientSession(
        connector=_Connector(now, limit=0, force_close=not reuse),
        request_class=_Request,
        headers={"Accept-Encoding": "identity", **headers},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        trust_env=False,
    )


async def body_of(answer: aiohttp.ClientResponse, most: int = MOST_ERROR_BYTES) -> bytes:
    """A body, at most so many bytes of it."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        parts.append(part)
        size += len(part)
        if size >= most:
            break
    return b"".join(parts)[:most]


_MOST_WORDS = 200
"""Characters of an error that has no words of ours."""

_UNKNOWN_ISSUERS = (18, 19, 20, 21)
"""OpenSSL's codes where a certificate is signed by itself or by nobody who is known."""

_TROUBLES: dict[type[BaseException], str] = {
    aiohttp.ClientConnectorSSLError: "no TLS is spoken there: should it be http:// ?",
    aiohttp.ClientConnectorDNSError: "its host name is not known",
    aiohttp.ServerDisconnectedError: "the connection was closed",
    ConnectionResetError: "the connection was closed",
    TimeoutError: f"no connection within {CONNECT_SECONDS:.0f} s",
    aiohttp.ClientResponseError: "its answer is no HTTP",
    aiohttp.ClientPayloadError: "the connection was closed in the middle of the answer",
}


def troubles(error: BaseException) -> str:
    """What went wrong on the way to a server, in words and without an address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _distrust(error.certificate_error)
    words = next((told for kind, told in _TROUBLES.items() if isinstance(error, kind)), None)
    if words is None and isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        words = os.strerror(number).lower() if number else str(error.os_error)
    return words or one_line(f"{type(error).__name__}: {error}")[:_MOST_WORDS]


def _distrust(error: Exception) -> str:
    """Why a certificate is not trusted, and what helps where only its issuer is not known."""
    why = getattr(error, "verify_message", "") or str(error)
    known = getattr(error, "verify_code", None) not in _UNKNOWN_ISSUERS
    hint = "" if known else "; the variable SSL_CERT_FILE names a file of CAs to trust"
    return f"its certificate is not trusted: {one_line(why)[:_MOST_WORDS]}{hint}"
