"""The screen in ASCII, for terminals that say they know nothing else. Widths stay as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from llamatop.ascii import ASCII
from llamatop.tui.lines import width_of


def only_ascii(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale names a character set, and not UTF-8; one that is not set may be all."""
    locale = env.get("LC_ALL") or env.get("LANG") or ""
    named = locale in ("C", "POSIX") or "." in locale
    return env.get("TERM") == "dumb" or (named and "utf" not in locale.lower())


class Plain(LineFilter):
    """Each character that is not ASCII as one that looks like it, else as a question mark."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments in ASCII."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(plain(segment.text), segment.style)
            for segment in segments
        ]


def plain(text: str) -> str:
    """A text in ASCII, as wide as before."""
    text = text.translate(ASCII)
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "?" * width_of(char) for char in text)
