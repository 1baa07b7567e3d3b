"""Who is answered, and what a page may load."""

import asyncio
import re

import aiohttp
import pytest

from llamatop.web.gate import is_loopback

from .conftest import Served, Serving

FOREIGN_NAMES = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.2",
                 "user@127.0.0.1", "127.0.0.1/x", "[::2]", "localhost evil")  # fmt: skip


async def refused(served: Served, **headers: str) -> bool:
    """Whether a socket with such headers is; nothing was started for it."""
    try:
        tab = await served.open(**headers)
    except aiohttp.WSServerHandshakeError as error:
        return error.status == 403 and not served.server.programs
    await tab.end()  # its program says its words, and the server closes it
    while served.server.programs:
        await asyncio.sleep(0.01)
    return False


async def test_another_name_is_another_host(serving: Serving) -> None:
    async with serving() as served:
        for name in FOREIGN_NAMES:
            assert await served.status(Host=name) == 403, name
            assert await served.status("/static/js/textual.js", Host=name) == 403, name
            assert await refused(served, Host=name, Origin=f"http://{name}"), name
        for name in ("localhost", "LOCALHOST:9000", served.at, "[::1]:8642"):
            assert await served.status(Host=name) == 200, name


async def test_a_socket_answers_only_pages_of_its_own(serving: Serving) -> None:
    async with serving() as served:
        port = served.server.port
        others = [f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"{served.at}.example"]
        for origin in ("null", "", f"https://{served.at}", *(f"http://{one}" for one in others)):
            assert await refused(served, Origin=origin), origin
        with pytest.raises(aiohttp.WSServerHandshakeError) as none:
            await served.client.ws_connect(f"http://{served.at}/ws")
        assert none.value.status == 403
        assert not await refused(served)
        forwarded = "localhost:9000"  # as ssh -L 9000:127.0.0.1:8642 has it
        assert not await refused(served, Host=forwarded, Origin=f"http://{forwarded}")


async def test_off_loopback_a_token_is_needed(serving: Serving) -> None:
    async with serving(host="0.0.0.0") as served:
        server, token = served.server, served.server.gate.token
        assert token is not None
        assert server.link.endswith(f":{server.port}/?token={token}")
        for path in ("/", "/static/js/textual.js", "/?token=", "/?token=x", f"/ws?token={token}"):
            assert await served.status(path) == 403, path
        assert await refused(served)
        assert await served.status(f"/?token={token}", Host="evil.example") == 403
        link = f"http://{served.at}/?token={token}"
        async with served.client.get(link, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        async with served.client.get(f"http://{served.at}/") as page:
            assert page.status == 200
            assert token not in await page.text()
        assert not await refused(served)
        assert await refused(served, Origin="http://evil.example")


async def test_of_a_host_loopback_alone_reaches_none_is_needed(serving: Serving) -> None:
    async with serving() as served:
        assert served.server.gate.token is None
        assert served.server.link == f"http://{served.at}/"
    assert is_loopback("localhost") and is_loopback("127.0.0.3") and is_loopback("::1")
    assert not is_loopback("0.0.0.0") and not is_loopback("") and not is_loopback("::")


async def test_nothing_is_loaded_from_elsewhere(serving: Serving) -> None:
    async with serving() as served:
        async with served.client.get(f"http://{served.at}/?fontsize=99&ping=http://x") as answer:
            page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and f"connect-src 'self' ws://{served.at};" in policy
        assert re.findall(r"\w+://[^\"]*", page) == [f"ws://{served.at}/ws"]
        loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert len(loaded) == 5
        async with served.client.get(f"http://{served.at}/page/page.css") as answer:
            style = await answer.text()
        assert not re.search(r"import|//", style)
        for path in {*loaded, *re.findall(r'url\("([^"]*)"\)', style)}:
            assert path.startswith("/"), path
            assert await served.status(path) == 200, path
