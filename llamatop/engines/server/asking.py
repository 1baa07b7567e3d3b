"""Single questions to one server, outside of any measurement. Follows no redirect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from llamatop.engines.server.answers import GOOD_ENDS, Answer, EventError
from llamatop.engines.server.client import PATHS, refuse
from llamatop.engines.server.exchange import RequestError
from llamatop.engines.server.http import body_of, troubles
from llamatop.engines.server.known import Reply
from llamatop.engines.server.sse import EventStream, TooLongError
from llamatop.settings.config import Endpoint

ASK_SECONDS = 5.0
"""How long a server may take to answer a question that needs no model."""

MOST_REPLY_BYTES = 16 << 20


@dataclass(slots=True)
class Probed:
    """What one whole answer showed."""

    answer: Answer
    headers: dict[str, str]
    first: dict[str, Any]
    """Its first event."""


class Asker:
    """Asks one server; `session` has its headers."""

    def __init__(self, session: Any, url: str, timeout: float = 60.0) -> None:
        self.url = url
        self._session = session
        self._timeout = timeout

    async def close(self) -> None:
        """Ask no more."""
        await self._session.close()

    async def get(self, path: str) -> Reply:
        """What a path answers."""
        return await self._ask("GET", path, None, ASK_SECONDS)

    async def post(self, path: str, body: Any) -> Reply:
        """What a path answers to a JSON body."""
        return await self._ask("POST", path, msgspec.json.encode(body), self._timeout)

    async def _ask(self, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    method, self.url + path, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                content = await body_of(answer, MOST_REPLY_BYTES)
                return Reply(answer.status, _lower(answer.headers), content)
        except TimeoutError:
            return Reply(0, body=f"no answer within {seconds:g} s".encode())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(0, body=troubles(error).encode())

    async def stream(self, endpoint: Endpoint, body: dict[str, Any]) -> Probed:
        """A whole answer. Raises RequestError where it is refused or does not end well."""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.post(
                    self.url + PATHS[endpoint], json=body, allow_redirects=False
                ) as answer,
            ):
                await refuse(answer)
                probed = Probed(Answer(), _lower(answer.headers), {})
                await _read(answer.content, probed)
        except TimeoutError:
            raise RequestError(f"no answer within {self._timeout:g} s (--timeout)", True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise RequestError(troubles(error), True) from None
        if probed.answer.reason not in GOOD_ENDS:
            said = probed.answer.reason or "nothing"
            raise RequestError(f"its stream ended with {said} as finish_reason")
        return probed


async def _read(content: aiohttp.StreamReader, probed: Probed) -> None:
    stream = EventStream()
    try:
        async for data in content.iter_any():
            _take(stream.feed(data), probed)
            if probed.answer.done and probed.answer.reason:
                return
        _take(stream.end(), probed)
    except (EventError, TooLongError) as problem:
        raise RequestError(str(problem)) from None


def _take(events: list[bytes], probed: Probed) -> None:
    for data in events:
        probed.answer.take(data)
        if not probed.first and data.startswith(b"{"):
            probed.first = msgspec.json.decode(data)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
