"""GET over HTTP with a bound on its time and its size, on a connection that is kept.

Sends nothing but GETs. A key goes to the server that it was given for, and not where that leads; in
an answer that repeats it stands `***`.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urljoin, urlsplit

from llamatop.engines.server.known import Reply

SECONDS = 8.0
"""A whole answer takes no longer; a page of metrics that does is none."""

LARGEST = 8 << 20
"""Bytes of an answer."""

_PIECE = 1 << 16

_SHORTEST = 4
"""Characters below which a header's value is no secret, and would tear holes into every text."""


class UnansweredError(Exception):
    """No whole answer came; why, in a few words."""

    def __init__(self, why: str, connected: bool = False) -> None:
        super().__init__(why)
        self.connected = connected
        """Whether somebody listens there who was asked, and did not answer in time."""


class Asking:
    """Asks one server, one question after another."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """`url`: without a slash at its end. `headers`: sent with every question."""
        self.url = url
        self._parts = urlsplit(url)
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        values = {value.removeprefix("Bearer ") for value in (headers or {}).values()}
        self._secrets = sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True)
        self._connection: HTTPConnection | None = None

    def get(self, path: str, accept: str = "*/*", seconds: float = SECONDS) -> Reply:
        """The answer; raises UnansweredError where there is none in time.

        A connection that was kept may have been closed meanwhile: then it is asked once more.
        """
        kept = self._connection is not None
        until = time.monotonic() + seconds
        try:
            return self._ask(path, accept, until)
        except (HTTPException, OSError) as error:
            slow = isinstance(error, TimeoutError)
            connected = slow and self._connection is not None and self._connection.sock is not None
            self.close()
            if not kept or slow:
                raise UnansweredError(_why(error), connected) from None
        try:
            return self._ask(path, accept, until)
        except (HTTPException, OSError) as error:
            self.close()
            raise UnansweredError(_why(error)) from None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, path: str, accept: str, until: float, again: bool = True) -> Reply:
        connection = self._connected(until)
        target = self._parts.path + path
        connection.request("GET", target, headers={**self._headers, "Accept": accept})
        response = connection.getresponse()
        body = self._body(response, until)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        elsewhere = None
        if response.status in (301, 302, 307, 308) and again:
            elsewhere = self._within(path, headers.get("location", ""))
        if elsewhere is not None:
            return self._ask(elsewhere, accept, until, again=False)
        return Reply(response.status, headers, self._scrubbed(body))

    def _scrubbed(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        return body

    def _within(self, path: str, location: str) -> str | None:
        """Where a redirect leads, if that is the same server."""
        there = urlsplit(urljoin(self.url + path, location))
        same = (there.scheme, there.netloc) == (self._parts.scheme, self._parts.netloc)
        return there.path.removeprefix(self._parts.path) if same and there.path else None

    def _connected(self, until: float) -> HTTPConnection:
        rest = max(until - time.monotonic(), 0.001)
        if self._connection is None:
            kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
            self._connection = kind(self._parts.hostname or "", self._parts.port, timeout=rest)
            self._connection.connect()
            if self._connection.sock is not None:
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(rest)
        return self._connection

    def _body(self, response: HTTPResponse, until: float) -> bytes:
        pieces, size = [], 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise http.client.HTTPException(f"an answer of more than {LARGEST >> 20} MiB")
            rest = until - time.monotonic()
            if rest <= 0:
                raise TimeoutError
            if self._connection is not None and self._connection.sock is not None:
                self._connection.sock.settimeout(rest)
        if response.length:
            raise http.client.HTTPException("an answer that was cut off")
        response.close()  # read piece by piece it does not notice its end, nor let the next begin
        return b"".join(pieces)


def _why(error: Exception) -> str:
    """An error as a person would put it."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "nothing listens there"
        case socket.gaierror():
            return "no such host"
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError():
            return "it closed the connection"
        case OSError() if error.strerror:
            return error.strerror
    return str(error) or type(error).__name__
