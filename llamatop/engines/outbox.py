"""What leaves an engine process: events, gathered and sent from a thread of its own.

Generating threads only append to a deque; text is decoded and pipes are written here, so a
slow reader delays nobody's tokens.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import BinaryIO

from llamatop.engines.base import Detokenizer
from llamatop.events.kinds import (
    Event,
    RequestCancelled,
    RequestFailed,
    RequestFinished,
    TokensEmitted,
)
from llamatop.events.wire import write_events

FLUSH_SECONDS = 0.1
"""How long an event may wait to be sent."""

_ENDS = RequestFinished | RequestFailed | RequestCancelled

_Step = tuple[int, list[int], list[int]]
"""(time, request ids, one token id for each)."""


class Outbox:
    """Gathers events in order; `drain` turns what has gathered to a list of events."""

    def __init__(self) -> None:
        self._items: deque[Event | _Step] = deque()
        self.detokenizer: Detokenizer | None = None
        """None: tokens are counted and not decoded."""

    def put(self, event: Event) -> None:
        """Add one event."""
        self._items.append(event)

    def tokens(self, time: int, requests: list[int], tokens: list[int]) -> None:
        """Add new tokens: `tokens[i]` belongs to `requests[i]`; neither list is changed later."""
        self._items.append((time, requests, tokens))

    def drain(self) -> list[Event]:
        """All that has gathered, in order, tokens as one event for each request and moment."""
        events: list[Event] = []
        for _ in range(len(self._items)):
            item = self._items.popleft()
            if isinstance(item, tuple):
                events.extend(self._emissions(item))
            else:
                events.append(item)
                self._forget(item)
        return events

    def _emissions(self, step: _Step) -> list[Event]:
        time, requests, tokens = step
        if len(set(requests)) == len(requests):
            return [
                TokensEmitted(time, request, 1, self._text(request, [token]))
                for request, token in zip(requests, tokens, strict=True)
            ]
        grouped: dict[int, list[int]] = {}
        for request, token in zip(requests, tokens, strict=True):
            grouped.setdefault(request, []).append(token)
        return [
            TokensEmitted(time, request, len(ids), self._text(request, ids))
            for request, ids in grouped.items()
        ]

    def _text(self, request: int, ids: list[int]) -> str | None:
        return None if self.detokenizer is None else self.detokenizer.feed(request, ids)

    def _forget(self, event: Event) -> None:
        """Drop the text state of a request that has ended."""
        if self.detokenizer is not None and isinstance(event, _ENDS):
            self.detokenizer.end(event.request)


class Sender:
    """Sends what gathers in an outbox; `run` belongs in a thread of its own."""

    def __init__(self, outbox: Outbox, pipe: BinaryIO) -> None:
        self._outbox = outbox
        self._pipe = pipe
        self._closing = threading.Event()
        self._writing = threading.Lock()

    def run(self) -> None:
        """Send every `FLUSH_SECONDS`, until closed or until nobody listens."""
        while not self._closing.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except OSError:
                return

    def flush(self) -> None:
        """Send now what has gathered."""
        with self._writing:
            if events := self._outbox.drain():
                write_events(self._pipe, events)

    def close(self) -> None:
        """Send the rest and stop; silent when nobody listens."""
        self._closing.set()
        try:
            self.flush()
        except OSError:
            return
