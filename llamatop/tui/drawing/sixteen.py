"""Sixteen colours, for terminals that say they know no more: what has a hue keeps it.

The nearest of sixteen colours to a muted one is grey: the model's work would lose its colour in the
shades of its own chart, and memory everywhere. Knows colours and styles, no roles.
"""

from __future__ import annotations

import colorsys
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from llamatop.tui.drawing.paint import Recolours

Rgb = tuple[int, int, int]

_GREYS: Sequence[Rgb] = ((0, 0, 0), (85, 85, 85), (170, 170, 170), (255, 255, 255))
_BLACK, _, _SILVER, _ = _GREYS
_RED: Sequence[Rgb] = ((170, 0, 0), (255, 85, 85))
_YELLOW: Sequence[Rgb] = ((170, 85, 0), (255, 255, 85))
_GREEN: Sequence[Rgb] = ((0, 170, 0), (85, 255, 85))
_CYAN: Sequence[Rgb] = ((0, 170, 170), (85, 255, 255))
_BLUE: Sequence[Rgb] = ((0, 0, 170), (85, 85, 255))
_MAGENTA: Sequence[Rgb] = ((170, 0, 170), (255, 85, 255))

_FROM = (25, 75, 165, 208, 250, 330)
"""Degrees at which the next hue begins."""
_HUES = (_RED, _YELLOW, _GREEN, _CYAN, _BLUE, _MAGENTA, _RED)

_COLOURED = 35
"""Of 255, between the least and the most of a colour's parts: from here on it is no grey."""
_SATURATED = 0.25
"""The same as a share of its most, for dark ones; greys of themes are often bluish."""

_EMPHASIS = 30
"""Of 765: what sets a row under the cursor apart from the ground; less, a screen under a page."""


@lru_cache(maxsize=512)
def sixteen(colour: Rgb) -> Rgb:
    """The one of sixteen that has the same hue and is nearest in brightness."""
    most, least = max(colour), min(colour)
    hue, saturation, _ = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    known = _HUES[bisect_right(_FROM, hue * 360)]
    dark = saturation >= _SATURATED and most > least and known is not _BLUE
    grey = most - least < _COLOURED and not dark
    return min(_GREYS if grey else known, key=lambda one: _distance(one, colour))


def _distance(one: Rgb, other: Rgb) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _apart(one: Rgb, other: Rgb) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


class Sixteen(Recolours):
    """Each colour as one of sixteen; what stands on another grey than the ground, reversed."""

    def style(self, style: Style, ground: Color) -> Style:
        """A style in such colours."""
        return _style(style, ground.rgb)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text in such colours."""
        ground = background.rgb
        return [
            Segment(text, _style(style, ground), control) if style and not control else segment
            for segment in segments
            for text, style, control in (segment,)
        ]


@lru_cache(maxsize=1024)
def _style(style: Style, ground: Rgb) -> Style:
    ink = style.color.get_truecolor() if style.color else None
    paper = style.bgcolor.get_truecolor() if style.bgcolor else None
    if ink is None or paper is None:
        return style
    under = sixteen(paper)
    if paper != ink and under in _GREYS and _apart(paper, ground) > _EMPHASIS:
        return _on(style, _BLACK, _SILVER)
    return _on(style, sixteen(ink), under)


def _on(style: Style, ink: Rgb, paper: Rgb) -> Style:
    colours = Style(color=Color(*ink).rich_color, bgcolor=Color(*paper).rich_color)
    return style + colours
