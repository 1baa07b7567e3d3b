"""The raw answers in `tests/data/servers`, taken apart by hand."""

from __future__ import annotations

from pathlib import Path

from llamatop.engines.server.known import Reply

FOLDER = Path(__file__).parents[1] / "data" / "servers"


def names() -> list[str]:
    """Of every sample that is a stream."""
    return [
        path.name.removesuffix(".http")
        for path in sorted(FOLDER.glob("*.http"))
        if b"text/event-stream" in path.read_bytes().partition(b"\r\n\r\n")[0].lower()
    ]


def reply(name: str) -> Reply:
    """A whole sample."""
    head, _, rest = (FOLDER / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {key.strip().lower(): value.strip() for key, _, value in pairs}
    chunked = headers.get("transfer-encoding") == "chunked"
    return Reply(int(first.split()[1]), headers, _joined(rest) if chunked else rest)


def body(name: str) -> bytes:
    """What a sample's stream holds, its framing undone."""
    return reply(name).body


def _joined(rest: bytes) -> bytes:
    out = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        out, rest = out + rest[:length], rest[length + 2 :]
    return out
