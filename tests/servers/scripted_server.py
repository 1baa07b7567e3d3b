"""A scripted server: the OpenAI protocol's streams, with tokens at times that it decides and keeps.

It stands for no real server. It is the ground truth for timing: the clock of its log, which is
`time.monotonic_ns`, is read right before each write, and is the same for all processes.

    python scripted_server.py PORT

`POST /script` takes `{"script": {...}, "next": [{...}], "models": {...}}`, fields of `Script`: for
all requests, for the next ones in turn, and what `/v1/models` answers. `GET /log` gives every
request since, as `{"number", "path", "headers", "body", "came", "sent": [ns, ...], "tokens",
"ended"}`; `GET /sums` how many streams are open, and events sent.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from typing import Any, cast

import uvloop
from script import Answer, Script  # type: ignore[import-not-found]

MODELS = {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 422: "Unprocessable Entity"}


class Stage:
    """What all connections share: the scripts, and the log."""

    def __init__(self) -> None:
        self.script = Script()
        self.next: list[Script] = []
        self.models: Any = MODELS
        self.log: list[dict[str, Any]] = []

    def set(self, wanted: dict[str, Any]) -> None:
        """Begin anew."""
        self.script = script_of(wanted.get("script", {}))
        self.next = [script_of(one) for one in wanted.get("next", ())]
        self.models = wanted.get("models", MODELS)
        self.log = []

    def entry(
        self, path: str, headers: dict[str, str], body: dict[str, Any], came: int
    ) -> dict[str, Any]:
        """The log's entry of one more request, whose last byte was read at `came`."""
        entry = {"number": len(self.log), "path": path, "headers": headers, "body": body}
        self.log.append(entry | {"came": came, "sent": [], "tokens": 0, "ended": ""})
        return self.log[-1]

    def sums(self) -> dict[str, int]:
        """Streams that are open, and events sent so far."""
        streams = sum(not entry["ended"] for entry in self.log)
        return {"open": streams, "events": sum(len(entry["sent"]) for entry in self.log)}


def script_of(fields: dict[str, Any]) -> Script:
    return Script(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


class Connection(asyncio.Protocol):
    """One client. Answers one request at a time."""

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        self._stage, self._loop = stage, loop
        self._read = b""
        self._losing = False
        self._timer: asyncio.TimerHandle | None = None
        self._entry: dict[str, Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._entry is not None and not self._entry["ended"]:
            self._entry["ended"] = "left"

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._read += data
        head, found, rest = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._read, self._came = rest[length:], now
        method, path, _ = lines[0].split(" ", 2)
        self._request(method, path.partition("?")[0], headers, rest[:length])

    def _request(self, method: str, path: str, headers: dict[str, str], data: bytes) -> None:
        if self._losing:
            self._reset()
        elif path == "/script":
            self._stage.set(json.loads(data))
            self._say(200, "{}")
        elif path == "/log":
            self._say(200, json.dumps(self._stage.log))
        elif path == "/sums":
            self._say(200, json.dumps(self._stage.sums()))
        elif path == "/v1/models":
            self._say(200, json.dumps(self._stage.models))
        elif method == "POST" and path in ("/v1/completions", "/v1/chat/completions"):
            self._answer(path, headers, json.loads(data))
        else:
            self._say(200 if path == "/health" else 404, "{}")

    def _answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        stage = self._stage
        script = stage.next.pop(0) if stage.next else stage.script
        self._entry = entry = stage.entry(path, headers, body, self._came)
        refused = [field for field in script.refuses if field in body]
        if refused or script.status != 200:
            entry["ended"] = "refused"
            told = json.dumps({"detail": f"Unexpected fields in the request: {set(refused)}"})
            status, told = (422, told) if refused else (script.status, script.body)
            self._loop.call_later(script.headers_after, self._say, status, told, script.location)
            return
        chat = path == "/v1/chat/completions"
        self._stream = Stream(self, script, Answer(script, entry["number"], chat, body), entry)

    def _say(self, status: int, body: str, location: str = "") -> None:
        """An answer that is no stream."""
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Scripted')}\r\n"
        head += f"Location: {location}\r\n" if location else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        self._transport.write((head + body).encode())

    def at(self, when: float, what: Any) -> None:
        """Do it then, unless the client has left."""
        self._timer = self._loop.call_at(when, what)

    def begin(self, script: Script) -> None:
        """The status line and the headers of a stream."""
        kept = "close" if script.connection == "close" else "keep-alive"
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: " + kept.encode() + b"\r\n\r\n"
        )

    def write(self, data: bytes) -> None:
        """One chunk."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self, how: str, script: Script) -> None:
        """The stream is over: with its last chunk, with none (`eof`), or with a reset."""
        assert self._entry is not None
        self._entry["ended"] = how
        if how == "reset":
            self._reset()
        elif how == "eof":
            self._transport.close()
        else:
            self._transport.write(b"0\r\n\r\n")
            self._losing = script.connection == "loses"
            if script.connection in ("close", "lies"):
                self._transport.close()

    def _reset(self) -> None:
        """RST, where a mere close would be a FIN."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Stream:
    """One answer in time."""

    def __init__(
        self, connection: Connection, script: Script, answer: Answer, entry: dict[str, Any]
    ) -> None:
        self._connection, self._script, self._answer = connection, script, answer
        self._entry, self._loop = entry, asyncio.get_running_loop()
        now = self._loop.time()
        phase = answer.number % script.spread / script.spread
        self._due = now + script.ttft + phase * script.interval
        connection.at(now + script.headers_after, self._begin)

    def _begin(self) -> None:
        self._connection.begin(self._script)
        if self._answer.chat and self._script.role_first:
            self._connection.write(self._answer.role())
        self._connection.at(self._due, self._next)

    def _next(self) -> None:
        """Send what is due; what `batch` joins is sent at its end."""
        script, answer = self._script, self._answer
        out, end = b"", self._due + script.batch
        while not (answer.over or answer.broken) and (self._due < end or not out):
            out += answer.tokens()
            self._due += script.interval
        if out:
            self._entry["sent"].append(time.monotonic_ns())
            self._connection.write(out)
            self._entry["tokens"] = answer.sent
        if answer.broken:
            self._break()
        elif answer.over:
            if ending := answer.ending():
                self._connection.write(ending)
            self._connection.end("whole", script)
        else:
            self._connection.at(self._due, self._next)

    def _break(self) -> None:
        match self._script.then:
            case "stall":
                self._entry["ended"] = "stalled"
            case "pings":
                self._ping()
            case "error":
                self._connection.write(b"data: " + self._script.error.encode() + b"\n\n")
                self._connection.write(b"data: [DONE]\n\n")
                self._connection.end("error", self._script)
            case how:
                self._connection.end(how, self._script)

    def _ping(self) -> None:
        self._connection.write(b":\n\n")
        self._connection.at(self._loop.time() + 0.05, self._ping)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    loop, stage = asyncio.get_running_loop(), Stage()
    server = await loop.create_server(
        lambda: Connection(stage, loop), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
