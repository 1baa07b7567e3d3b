"""A server of this machine that says what real ones said: stored answers, by path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "servers"


def stored(name: str) -> tuple[int, dict[str, str], bytes]:
    """A stored answer: status, headers and body; a bare page is text in the old format."""
    raw = (DATA / name).read_bytes()
    if not name.endswith(".http"):
        return 200, {"Content-Type": "text/plain; version=0.0.4"}, raw
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return int(first.split()[1]), headers, body


def text(name: str) -> str:
    """The body of a stored answer."""
    return stored(name)[2].decode()


class Pages:
    """What is answered, by path; may be changed while it serves. Anything else is 404."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.by_path: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and headers of what was asked, in order."""

    def say(self, path: str, name: str) -> None:
        """From now on this stored answer."""
        self.by_path[path] = stored(name)


@contextmanager
def serving() -> Iterator[Pages]:
    """A server on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            pages.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            status, headers, body = pages.by_path.get(self.path, (404, {}, b"{}"))
            self.send_response_only(status)
            kept = {k: v for k, v in headers.items() if k.lower() != "content-length"}
            for key, value in {**kept, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages = Pages(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield pages
    finally:
        server.shutdown()
        server.server_close()
