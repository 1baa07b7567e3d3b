"""What a server says when it refuses: an error's message in one line, whatever its form."""

from __future__ import annotations

from typing import Any

import msgspec

from llamatop.events.sanitize import one_line

MOST_CHARACTERS = 300


def complaint(body: bytes) -> str:
    """The words of an error: an object's, a string's, `{"detail": …}`, plain text, broken JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = body[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")
    words = " ".join(one_line(_words(value)).split())
    if len(words) > MOST_CHARACTERS:
        words = words[:MOST_CHARACTERS] + "…"
    return words or "no words"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        for name in ("error", "message", "detail", "msg"):
            if value.get(name):
                return _words(value[name])
    if isinstance(value, list) and value:
        return "; ".join(_words(one) for one in value[:5])
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
