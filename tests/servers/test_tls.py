"""Servers behind TLS: a certificate of one's own is trusted where it is named, and else refused.

A real TLS endpoint, whose certificate `openssl` signs by itself, before the scripted server.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from llamatop.engines.server.asking import Asker
from llamatop.engines.server.http import new_session
from llamatop.errors import InputError
from tests.end_to_end.conftest import Llamatop
from tests.servers.driving import Driven
from tests.servers.scripted_client import Scripted

openssl = shutil.which("openssl")
pytestmark = pytest.mark.skipif(openssl is None, reason="openssl makes the certificate")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> tuple[Path, Path]:
    """Signed by itself, for 127.0.0.1 and no other name; and its key."""
    file, key = folder / "own.pem", folder / "own.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=llamatop tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [str(openssl), "req", "-x509", "-days", "2", *kind, *name]
    subprocess.run([*command, "-keyout", key, "-out", file], check=True, capture_output=True)
    return file, key


class Door:
    """Speaks TLS on a port of its own, and hands all bytes on to `port` and back."""

    def __init__(self, port: int, file: Path, key: Path) -> None:
        self.port = 0
        self._inner = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(file, key)
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._opened.wait(30)

    def close(self) -> None:
        """Let nobody in any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()

    async def _open(self) -> None:
        server = await asyncio.start_server(self._enter, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._opened.set()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner)
        await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def door(scripted_server, certificate: tuple[Path, Path]) -> Iterator[Door]:
    opened = Door(scripted_server.port, *certificate)
    yield opened
    opened.close()


def test_a_certificate_that_nobody_vouches_for_is_refused_in_one_line(door: Door) -> None:
    with pytest.raises(InputError) as refusal:
        Driven(f"https://127.0.0.1:{door.port}")
    told = str(refusal.value)
    assert "\n" not in told
    assert f"https://127.0.0.1:{door.port}" in told
    assert "not trusted: self-signed certificate" in told
    assert "SSL_CERT_FILE" in told


def test_with_its_file_named_by_the_variable_it_is_trusted_for_its_own_name_alone(
    llamatop: Llamatop, scripted: Scripted, door: Door, certificate: tuple[Path, Path]
) -> None:
    trusted = {"SSL_CERT_FILE": str(certificate[0])}
    load = ("--record", "--json", "--gen-toks", "4", "--requests", "2")
    done = llamatop(*load, "--url", f"https://127.0.0.1:{door.port}", **trusted)
    assert done.code == 0, done.err
    assert done.json["levels"][0]["completed"] == 2
    done = llamatop(*load, "--url", f"https://localhost:{door.port}", **trusted)
    assert done.code == 2, done.err
    assert "not valid for 'localhost'" in done.err
    assert "SSL_CERT_FILE" not in done.err, "which would not help"


async def test_tls_where_none_is_spoken_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # as uvicorn does
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    asker = Asker(new_session(time.monotonic_ns, {}, False), url, 30)
    reply = await asker.get("/v1/models")
    await asker.close()
    server.close()
    assert reply.body == b"no TLS is spoken there: should it be http:// ?"
