"""Servers that answer here, as the start screen lists them: a row, and what stands beside it.

Enter watches one; nothing is sent to it. Knows no socket: `found` asks who answers.
"""

from __future__ import annotations

import os

import msgspec

from llamatop.settings.config import RunConfig
from llamatop.settings.servers import host_of
from llamatop.text.formatting import UNKNOWN, count, whole
from llamatop.tui.drawing.lines import Line, Span, clip, left, right

HEADING = "servers that answer here, opened to watch"

_HOST = 22


class Answering(msgspec.Struct, frozen=True):
    """A server that answered."""

    url: str
    name: str
    version: str | None = None
    model: str | None = None
    context: int | None = None
    running: float | None = None
    waiting: float | None = None
    needs_key: bool = False

    @property
    def searched(self) -> str:
        """All of it that can be searched for."""
        return f"{self.url} {self.name} {self.model or ''} server"

    @property
    def config(self) -> RunConfig:
        """The watch of it."""
        return RunConfig(model="", engine="attach", urls=(self.url,), api_key_env="")


def found() -> list[Answering]:
    """Those on the usual ports and in `LLAMATOP_SERVERS`; takes a second at most."""
    from llamatop.watch.found import addresses, find  # noqa: PLC0415  (not for the first paint)

    return [
        Answering(
            one.url,
            one.identity.name,
            one.identity.version,
            one.identity.model,
            one.identity.context,
            one.running,
            one.waiting,
            one.needs_key,
        )
        for one in find(addresses(os.environ))
    ]


def row(server: Answering, width: int) -> list[Span]:
    """Where, what, its model, and what it does."""
    load = _load(server)
    room = max(width - _HOST - 12 - 9 - len(load) - 4, 0)
    return [
        (" ", "text"),
        (left(host_of(server.url), _HOST), "text"),
        (left(f" {server.name}", 12), "dim"),
        (left(f" {server.model or UNKNOWN}", room), "text"),
        (right(count(server.context) if server.context else "", 9), "dim"),
        (f"  {load}", "work" if server.running else "dim"),
    ]


def _load(server: Answering) -> str:
    if server.needs_key:
        return "needs a key"
    if server.running is None:
        return "answers"
    waiting = f", {whole(server.waiting)} waiting" if server.waiting else ""
    return f"{whole(server.running)} running{waiting}"


def facts(server: Answering, label: int, width: int) -> list[Line]:
    """What is known of it before it is watched."""
    told = (
        ("address", server.url),
        ("server", " ".join(part for part in (server.name, server.version) if part)),
        ("model", server.model or UNKNOWN),
        ("context", f"{whole(server.context)} tokens" if server.context else UNKNOWN),
        ("load", _load(server)),
        ("", "Enter watches it; nothing is sent to it"),
    )
    room = max(width - label - 1, 1)
    return [((left(f" {name}", label), "dim"), (clip(text, room), "text")) for name, text in told]


def attach_command(server: Answering) -> list[str]:
    """The command that watches it."""
    return ["llamatop attach", f"--url {server.url}"]
