"""How many cells of a terminal a text takes: Chinese, Japanese and Korean take two a character."""

from __future__ import annotations

import unicodedata

_NONE = ("Mn", "Me", "Cf")
"""Categories of characters that join what stands before them."""


def cells(text: str) -> int:
    """Cells that a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def padded(text: str, width: int) -> str:
    """The text, with blanks up to so many cells."""
    return text + " " * max(width - cells(text), 0)


def _cells(character: str) -> int:
    if unicodedata.category(character) in _NONE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
