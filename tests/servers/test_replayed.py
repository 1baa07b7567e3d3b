"""Raw answers of real servers, sent again byte for byte, as the client takes them from a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llamatop.engines.server.client import Client
from llamatop.engines.server.orders import Ended, Order
from llamatop.engines.server.secrets import Secrets
from llamatop.events.clock import MonotonicClock
from llamatop.events.kinds import Event, RequestSent, TokensCounted, TokensEmitted
from tests.servers import samples


class Told:
    """What a client told of one request."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    def emit(self, request: int, time: int, count: int, text: str | None) -> None:
        self.events.append(TokensEmitted(time, request, count, text))

    def tell(self, event: Event) -> None:
        self.events.append(event)

    @property
    def tokens(self) -> int:
        return sum(one.count for one in self.events if isinstance(one, TokensEmitted))

    @property
    def counted(self) -> list[TokensCounted]:
        return [one for one in self.events if isinstance(one, TokensCounted)]


@asynccontextmanager
async def sending(answer: bytes, piece: int) -> AsyncIterator[str]:
    """A server that reads a request and sends these bytes, so many at once, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(answer), piece):
            writer.write(answer[start : start + piece])
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def ask(answer: bytes, piece: int = 1 << 16) -> tuple[Told, Ended]:
    told = Told()
    async with sending(answer, piece) as url:
        now = MonotonicClock().now
        client = Client([url], Secrets(None, (), {}), now, told, told.ended.set_result)
        client.send(Order(1, 0, 0, b"{}", "usage"))
        ended = await asyncio.wait_for(told.ended, 30)
        await client.close()
    return told, ended


@pytest.mark.parametrize("piece", [7, 1 << 16])
@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("mlx_lm-0.32.2.completions-stream", 4),  # HTTP/1.0: its end is the connection's
        ("transformers-5.23.0.completions-stream", 4),  # no [DONE]
        ("vllm-0.32.0.completions-multibyte", 18),
        ("llamacpp-b11434.completions-timings_per_token", 6),
        ("llamacpp-b11434.completions-special-tokens-empty-text", 4),  # and no text at all
        ("litellm-1.106.12.lcpp-completions-stream", 3),
    ],
)
async def test_good_answers(name: str, tokens: int, piece: int) -> None:
    told, ended = await ask((samples.FOLDER / f"{name}.http").read_bytes(), piece)
    assert (ended.how, ended.words) == ("finished", "length")
    assert told.tokens == tokens
    assert len(told.counted) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vllm-0.32.0.midstream-engine-killed-0", "EngineCore encountered an issue"),
        ("vllm-0.32.0.sigterm-default-stream-stalls", "closed in the middle of the answer"),
        ("llamacpp-b11434.midstream-error-context-exceeded-0", "Context size has been exceeded."),
        ("llamacpp-b11434.midstream-server-sigterm", "closed in the middle of the answer"),
        ("transformers-5.23.0.err-worker-dead-503", "HTTP 503: CB worker is dead"),
        ("vllm-0.32.0.503-queue-full", "HTTP 503: The engine is currently busy"),
        ("vllm-0.32.0.400-prompt-3000", "HTTP 400: This model's maximum context length"),
        ("mlx_lm-0.32.2.err-404-generation-thread-died", "HTTP 404: generation thread died"),
    ],
)
async def test_bad_answers(name: str, words: str) -> None:
    raw = (samples.FOLDER / f"{name}.http").read_bytes()
    told, ended = await ask(raw)
    assert ended.how == "failed"
    assert words in ended.words
    assert ended.trouble == (not words.startswith("HTTP 400"))
    assert sum(isinstance(one, RequestSent) for one in told.events) == 1


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


GARBAGE = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\n",
    "no http": b"hello\r\n\r\n",
    "nulls": b"\x00" * 300_000,
    "a bad chunk": STREAM + b"Transfer-Encoding: chunked\r\n\r\nzz",
    "no utf-8": STREAM + b"\r\ndata: \xff\xfe\n\n",
    "no object": STREAM + b"\r\ndata: [[[[1]]]]\n\n",
    "no stream": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"choices":[]}',
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no end": STREAM + b"\r\ndata: " + b"x" * (5 << 20),
    "a long error": b"HTTP/1.1 500 E\r\n\r\n" + b"\xf0\x9f" * 200_000,
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_a_failure_in_one_line(kind: str) -> None:
    _, ended = await ask(GARBAGE[kind])
    assert ended.how == "failed"
    assert 0 < len(ended.words) < 500
    assert "\n" not in ended.words
