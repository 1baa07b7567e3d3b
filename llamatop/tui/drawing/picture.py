"""A picture of the screen as SVG that loads nothing and keeps its columns in any renderer.

Textual's own asks the network for a font and leaves the width of a text to it; here each character
has the place of its cell. Knows the text of that picture only.
"""

from __future__ import annotations

import re
from html import escape, unescape
from itertools import accumulate

from llamatop.tui.drawing.lines import width_of

CELL = 12.2
"""Width of a cell in Textual's picture, in its units."""

FONTS = "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace"
"""What is likely there: the shapes of bars and braille among them."""

_FACE = re.compile(r"\s*@font-face\s*\{[^}]*\}")
_FAMILY = re.compile(r"font-family: Fira Code, monospace")
_TEXT = re.compile(
    r'x="(?P<x>[\d.]+)" (?P<y>y="[\d.]+") textLength="[\d.]+"(?P<rest>[^>]*)>(?P<text>[^<]*)<'
)


def portable(svg: str) -> str:
    """The same picture without a font to be fetched, each character at its own place."""
    plain = _FAMILY.sub(f"font-family: {FONTS}", _FACE.sub("", svg))
    return _TEXT.sub(_in_cells, plain)


def _in_cells(found: re.Match[str]) -> str:
    text = unescape(found["text"])
    widths = [width_of(character) for character in text]
    starts = accumulate(widths[:-1], initial=0)
    places = " ".join(f"{float(found['x']) + cells * CELL:.1f}" for cells in starts)
    shown = escape(text, quote=False).replace("\N{NO-BREAK SPACE}", "&#160;")
    return f'x="{places}" {found["y"]}{found["rest"]}>{shown}<'
