"""What is said between who decides about requests and who sends them, perhaps in another process.

Facts without behaviour; nothing secret stands in them but what a prompt holds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llamatop.events.kinds import TokensBy


class Order(msgspec.Struct, frozen=True, gc=False):
    """One request to send, at once."""

    request: int
    server: int
    due: int
    """When it could have been sent (ns)."""
    body: bytes
    by: TokensBy
    """How that server is known to count tokens."""


class Ended(msgspec.Struct, frozen=True, gc=False):
    """What became of a request."""

    request: int
    server: int
    how: Literal["finished", "failed", "dropped"]
    words: str = ""
    """The reason to finish, or the error."""
    trouble: bool = False
    """Whether the server itself may be gone: no answer, a broken one, or one that says so."""
