"""How a request gets onto the wire: in the turn of the loop in which it is made, and whole."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from llamatop.engines.server import http
from llamatop.engines.server.client import Client
from llamatop.engines.server.orders import Ended, Order
from llamatop.engines.server.secrets import Secrets
from llamatop.events.kinds import Event, RequestReached
from tests.servers.scripted_client import Scripted

LARGE = 12 << 20
"""Bytes that no socket takes at once."""


class Told:
    """A sink that calls `reached` with every stage."""

    def __init__(self, reached: Callable[[RequestReached], None]) -> None:
        self._reached = reached

    def emit(self, *emission: Any) -> None:
        """Tokens are of no interest here."""

    def tell(self, event: Event) -> None:
        if isinstance(event, RequestReached):
            self._reached(event)


async def sent(
    url: str, prompts: list[str], reached: Callable[[RequestReached], None] = lambda _: None
) -> list[Ended]:
    """The ends of requests that were sent one after another."""
    ended: asyncio.Queue[Ended] = asyncio.Queue()
    secrets = Secrets(None, (), {})
    client = Client([url], secrets, time.monotonic_ns, Told(reached), ended.put_nowait)
    ends = []
    for number, prompt in enumerate(prompts):
        body = json.dumps({"prompt": prompt, "max_tokens": 2, "stream": True}).encode()
        client.send(Order(number, 0, 0, body, "usage"))
        ends.append(await asyncio.wait_for(ended.get(), 60))
    await client.close()
    return ends


async def test_a_body_that_no_socket_takes_at_once_arrives_whole(scripted: Scripted) -> None:
    ends = await sent(scripted.url, ["x" * LARGE])
    assert [end.how for end in ends] == ["finished"], ends
    assert len(scripted.log()[0]["body"]["prompt"]) == LARGE


class Watched:
    """A transport that says when it is written to."""

    def __init__(self, transport: Any, written: Callable[[], None]) -> None:
        self._transport, self._written = transport, written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._written()
        self._transport.write(data)


async def test_a_request_is_written_before_the_loop_reads_from_others(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    made = http._Protocol.connection_made

    def watched(protocol: Any, transport: Any) -> None:
        made(protocol, transport)
        protocol.transport = Watched(transport, lambda: seen.append("written"))

    def reached(event: RequestReached) -> None:
        if event.stage == "connected":
            asyncio.get_running_loop().call_soon(seen.append, "turned")

    monkeypatch.setattr(http._Protocol, "connection_made", watched)
    ends = await sent(scripted.url, ["a", "b", "c"], reached)
    assert [end.how for end in ends] == ["finished"] * 3, ends
    assert seen == ["written", "turned"] * 3
