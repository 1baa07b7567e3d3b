"""One request on the wire: its stages, its tokens at the times of their reads, and its end.

The bytes of a read are parsed in the call that read them; no task wakes for an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp

from llamatop.engines.server.answers import GOOD_ENDS, Answer, EventError
from llamatop.engines.server.orders import Order
from llamatop.engines.server.sse import EventStream, TooLongError
from llamatop.events.kinds import Event, RequestReached, RequestSent, Stage, TokensCounted


class Sink(Protocol):
    """Where the facts of requests go."""

    def emit(self, request: int, time: int, count: int, text: str | None) -> None:
        """New tokens, read at `time` (ns)."""
        ...

    def tell(self, event: Event) -> None:
        """Anything else."""
        ...


class RequestError(Exception):
    """A request failed, in words; `trouble`: the server itself may be gone."""

    def __init__(self, words: str, trouble: bool = False) -> None:
        super().__init__(words)
        self.trouble = trouble


class Exchange:
    """Listens to one connection for one answer (an `http.Listener`)."""

    def __init__(
        self, order: Order, sink: Sink, now: Callable[[], int], keep_text: bool, again: bool
    ) -> None:
        """`again`: its connection was lost once."""
        self.order = order
        self.token_at = now()
        """When the last token came; when it was begun, before any (ns)."""
        self.reused = False
        """Whether its connection had carried another answer."""
        self.touched = False
        """Whether a byte of its answer has come."""
        self.over = asyncio.get_running_loop().create_future()
        """Done when the stream is; its exception is a RequestError."""
        self.finished_at: int | None = None
        """When the answer said that it was complete; its stream may be open still."""
        self._answer = Answer(order.by, keep_text)
        self._sink = sink
        self._now = now
        self._stream = EventStream()
        self._content: aiohttp.StreamReader | None = None
        self._again = again
        self._read_at = self.token_at
        self._emitted = 0
        self._told_answer = False

    # An http.Listener

    def asked(self) -> None:
        """The request is made and leaves now."""
        order = self.order
        sent = RequestSent(self._now(), order.request, order.server, order.due, self._again)
        self._sink.tell(sent)

    def connected(self, reused: bool) -> None:
        """The request has a connection."""
        self.reused = reused
        self._reach(self._now(), "connected")

    def received(self, time: int) -> None:
        """Bytes came; the first are those of the status line."""
        self._read_at = time
        if not self.touched:
            self.touched = True
            self._reach(time, "status")

    def parsed(self) -> None:
        """Read what there is of the stream."""
        content = self._content
        if content is None or self.over.done():
            return
        try:
            if data := content.read_nowait():
                self._events(self._stream.feed(data))
            if content.at_eof():
                self._events(self._stream.end())
                self._end()
        except RequestError as failure:
            self._fail(failure)
        except (EventError, TooLongError) as problem:
            self._fail(RequestError(str(problem), trouble=isinstance(problem, EventError)))
        except Exception as problem:  # the connection's own, or whatever a stream provokes
            self._broken(problem)

    def follow(self, content: aiohttp.StreamReader) -> None:
        """From here on the stream is read as it comes."""
        self._content = content
        self.parsed()

    def close_stream(self) -> None:
        """The answer was complete and nothing more came: that is its end."""
        if not self.over.done():
            self._end()

    # In the call of a read: what runs here runs for every event

    def _events(self, events: list[bytes]) -> None:
        answer = self._answer
        if not events:
            return
        if not answer.events:
            self._reach(self._read_at, "event")
        try:
            for data in events:
                answer.take(data)
        finally:
            if answer.fresh:
                count, text = answer.flush()
                self._emitted += count
                self._sink.emit(self.order.request, self._read_at, count, text)
                self.token_at = self._read_at
            elif answer.begun and answer.text:
                self.token_at = self._read_at
        if answer.reasoning and answer.answered and not self._told_answer:
            self._told_answer = True
            self._reach(self._read_at, "answer")
        if answer.done and answer.reason and self.finished_at is None:
            self.finished_at = self._read_at

    # Once a request

    def _end(self) -> None:
        answer = self._answer
        if answer.reason not in GOOD_ENDS:
            said = f"finish_reason {answer.reason!r}" if answer.reason else "no finish_reason"
            raise_ = RequestError(f"its stream ended with {said}", trouble=not answer.reason)
            self._fail(raise_)
            return
        self._count()
        self._reach(self._read_at, "end")
        self.over.set_result(answer.reason)

    def _count(self) -> None:
        """Tell what the server says of the tokens; hand out those that no event showed."""
        answer, request = self._answer, self.order.request
        total = answer.total
        if total and not self._emitted:
            self._emitted = total
            self._sink.emit(request, self._read_at, total, answer.flush()[1])
        self._sink.tell(
            TokensCounted(
                self._read_at,
                request=request,
                by=answer.by,
                count=total,
                prompt=answer.prompt,
                cached=answer.cached,
                reasoning=answer.thought,
            )
        )

    def _broken(self, problem: Exception) -> None:
        """The connection broke: after a good end that is no loss."""
        if self._answer.reason in GOOD_ENDS:
            self._end()
            return
        closed = isinstance(problem, aiohttp.ClientError | OSError)
        words = "the connection was closed in the middle of the answer"
        self._fail(
            RequestError(words if closed else f"{type(problem).__name__}: {problem}", closed)
        )

    def _fail(self, failure: RequestError) -> None:
        if not self.over.done():
            self.over.set_exception(failure)

    def _reach(self, time: int, stage: Stage) -> None:
        self._sink.tell(RequestReached(time, self.order.request, stage))
