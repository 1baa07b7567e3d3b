"""Who is answered: pages that were served here and, off this machine's loopback, who has the token.

A browser lets any page on the web open a socket to this machine. It tells where the page is from
(`Origin`) and under which name it looked for us (`Host`): a foreign page has another origin, and a
foreign name that leads here was made to. Knows no page and no program.
"""

from __future__ import annotations

import hmac
import re
import secrets
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp import web

from llamatop.events.sanitize import one_line

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine for itself."""

SOCKET = "/ws"
"""Where the sockets of pages are, itself and below."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d+)?", re.IGNORECASE)

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""Nothing is loaded from elsewhere, whatever the page's scripts are told by its address."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it; a name is what it resolves to. OSError: to nothing."""
    found = {str(place[4][0]) for place in socket.getaddrinfo(host or "0.0.0.0", None)}
    return all(ip_address(address.partition("%")[0]).is_loopback for address in found)


class Gate:
    """Of a server at `host`; `token` is None where loopback alone reaches it."""

    def __init__(self, host: str) -> None:
        inside = is_loopback(host)
        self.token = None if inside else secrets.token_urlsafe(32)
        self._addresses = not inside
        """Whether any address is a name of ours: no foreign page is found under one."""
        names = {*LOOPBACK, host, *(() if inside else (socket.gethostname(), socket.getfqdn()))}
        self._names = {name.lower() for name in names}

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What the handler answers, or a refusal in one line."""
        if not self._ours(request.host):
            return _refused(f"llamatop does not answer to the name {request.host}; see --host")
        if self.token is not None:
            if "token" in request.query:
                return self._let_in(request, self.token)
            if not _same(request.cookies.get(_cookie(request), ""), self.token):
                return _refused("this needs the link with its token that llamatop web has printed")
        if _is_socket(request) and request.headers.get("Origin") != f"http://{request.host}":
            return _refused("the socket answers only pages that were served here")
        return await handler(request)

    def _ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        return name in self._names or (self._addresses and _is_address(name))

    def _let_in(self, request: web.Request, token: str) -> web.StreamResponse:
        """The token goes from the link into a cookie that no script reads."""
        if _is_socket(request) or not _same(request.query["token"], token):
            return _refused("the token is not the one that llamatop web has printed")
        response = web.Response(status=303, headers={"Location": request.path, **_HEADERS})
        response.set_cookie(_cookie(request), token, httponly=True, samesite="Strict")
        return response


async def secure(request: web.Request, response: web.StreamResponse) -> None:
    """What a browser must keep to, on every answer."""
    response.headers.update(_HEADERS)
    host = request.host if _HOST.fullmatch(request.host) else ""
    response.headers["Content-Security-Policy"] = _POLICY.format(host=host)


def _is_socket(request: web.Request) -> bool:
    return f"{request.path}/".startswith(f"{SOCKET}/")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _cookie(request: web.Request) -> str:
    """Cookies are shared by all ports of a host."""
    return f"llamatop-{request.host.rpartition(':')[2]}"


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _refused(why: str) -> web.Response:
    return web.Response(status=403, text=f"llamatop: {one_line(why)}\n")
