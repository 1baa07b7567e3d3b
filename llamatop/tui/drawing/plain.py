"""The screen in other characters, for terminals that do not know them all. Widths stay as they are.

In ASCII where a locale says so; on the Linux console in what its fonts have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from llamatop.text.ascii import ASCII
from llamatop.tui.drawing.lines import width_of

_ITS_OWN = "─│█▄▀▌▐░▒▓←↑→↓·°µ\u2018\u2019\u201c\u201d"
"""What a console's font has of them."""
_CONSOLE = {sign: plain for sign, plain in ASCII.items() if chr(sign) not in _ITS_OWN} | {
    ord(sign): known
    for known, signs in {
        "┌": "╭", "┐": "╮", "└": "╰", "┘": "╯", "┼": "╋",
        "─": "╴╌", "│": "┃╎╷", "▄": "▂▃▅", "█": "▆▇■",
    }.items()
    for sign in signs
}  # fmt: skip

Spelling = Callable[[str], str]
"""A text in other characters, as wide as before."""


def for_poor_terminals(colours: str | None) -> list[LineFilter]:
    """What this terminal needs; `colours` as Rich names what it knows of them."""
    spell = spelling()
    nets: list[LineFilter] = [] if spell is None else [Plain(spell)]
    if os.environ.get("TERM") == "dumb":
        from textual.filter import NoColor  # noqa: PLC0415  (few need it)

        return [*nets, NoColor()]
    if colours == "standard":
        from llamatop.tui.drawing.sixteen import Sixteen  # noqa: PLC0415  (few need it)

        nets.append(Sixteen())
    return nets


def spelling(env: Mapping[str, str] = os.environ) -> Spelling | None:
    """What this terminal needs; None: nothing."""
    if only_ascii(env):
        return plain
    return console if env.get("TERM") == "linux" else None


def only_ascii(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale names a character set, and not UTF-8; one that is not set may be all."""
    locale = env.get("LC_ALL") or env.get("LANG") or ""
    named = locale in ("C", "POSIX") or "." in locale
    return env.get("TERM") == "dumb" or (named and "utf" not in locale.lower())


class Plain(LineFilter):
    """Every text in the characters that the terminal knows."""

    def __init__(self, spell: Spelling) -> None:
        super().__init__()
        self._spell = spell

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments in those."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else self._spelled(segment, background)
            for segment in segments
        ]

    def _spelled(self, segment: Segment, background: Color) -> Segment:
        text, style = self._spell(segment.text), segment.style
        if style is not None and text.isascii():
            style = _seen(style, background)
        return Segment(text, style)


@lru_cache(maxsize=256)
def _seen(style: Style, ground: Color) -> Style:
    """A full cell's style as that of the sign in its place, so that a chart is of one kind."""
    if style.color is None or style.color != style.bgcolor:
        return style
    return style + Style(bgcolor=ground.rich_color)


def console(text: str) -> str:
    """A text in what the Linux console's fonts have; letters as they are."""
    return text.translate(_CONSOLE)


def plain(text: str) -> str:
    """A text in ASCII, as wide as before."""
    text = text.translate(ASCII)
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "?" * width_of(char) for char in text)
