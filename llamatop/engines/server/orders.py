"""What is said between who decides about requests and who sends them, perhaps in another process.

Facts without behaviour; nothing secret stands in them but what a prompt holds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llamatop.events.kinds import TokensBy


class Order(msgspec.Struct, frozen=True, gc=False, tag=True):
    """One request to send, at once."""

    request: int
    server: int
    due: int
    """When it could have been sent (ns)."""
    body: bytes
    by: TokensBy
    """How that server is known to count tokens."""


class TakeBack(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Close a request's connection."""

    request: int


class Reopen(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Reuse no connection to a server from here on."""

    server: int


class Serving(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A level begins or has ended: look for stalls and sample the loop meanwhile."""

    on: bool


class Ended(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What became of a request."""

    request: int
    server: int
    how: Literal["finished", "failed", "dropped"]
    words: str = ""
    """The reason to finish, or the error."""
    trouble: bool = False
    """Whether the server itself may be gone: no answer, a broken one, or one that says so."""
