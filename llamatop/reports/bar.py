"""A peak as a stacked bar of blocks, with a legend. Knows bytes by name, not where they come from.

Each part has a block of its own, so a bar can be read without colour; colour is added for a
terminal that wants it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import TextIO

import msgspec

from llamatop.text.formatting import size

BLOCKS = {
    "weights": ("█", "W", 34),
    "scales": ("▚", "S", 94),
    "kv cache": ("▓", "K", 36),
    "activations": ("▒", "A", 33),
    "logits": ("▞", "L", 35),
    "sampling": ("▘", "P", 95),
    "allocator": ("░", "H", 32),
    "runtime": ("▄", "R", 90),
    "kernels": ("▀", "N", 91),
    "workspace": ("▌", "O", 91),
    "fragments": ("░", "F", 32),
    "context": ("▄", "C", 90),
    "free": ("·", ".", 2),
    "limit": ("│", "|", 0),
}
"""Of each part of a prediction: its block, a letter where there are none, its colour as a terminal
numbers it; what is free behind them; and the line where memory ends."""
OTHER = ("▐", "X", 0)
GAP = 3
"""Blanks between columns of a legend."""
LEAST_OF_LIMIT = 0.25
"""A peak below this share of the limit is drawn at a scale of its own."""


class Pen(msgspec.Struct, frozen=True):
    """What may be drawn with: colour or none, blocks or letters."""

    colour: bool = False
    blocks: bool = True

    def paint(self, text: str, code: int) -> str:
        """The text, in that colour if there is any."""
        return f"\033[{code}m{text}\033[0m" if self.colour and code else text

    def cells(self, name: str, count: int) -> str:
        """So many cells of that part."""
        block, letter, colour = BLOCKS.get(name, OTHER)
        return self.paint((block if self.blocks else letter) * count, colour)


def pen_for(stream: TextIO) -> Pen:
    """Colour for a terminal whose owner has not asked for none (https://no-color.org); blocks
    where the stream can spell them."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Pen(stream.isatty() and not plain, _spells(stream.encoding))


def _spells(encoding: str) -> bool:
    try:
        "".join(block for block, _, _ in BLOCKS.values()).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def bars(peaks: Sequence[Mapping[str, int]], limit: int, width: int, pen: Pen) -> list[str]:
    """A bar for each peak, `width` cells at most, all at one scale; `limit` in bytes is a line.

    The line is left out where all peaks are so far below it that no part could be told apart.
    """
    most = max(sum(parts.values()) for parts in peaks)
    shown = most >= LEAST_OF_LIMIT * limit
    scale = (width - 1 if shown else width) / max(most, limit if shown else 0, 1)
    at = int(limit * scale) if shown else None
    return [_bar(parts, scale, at, pen) for parts in peaks]


def legend(parts: Mapping[str, int], width: int, pen: Pen) -> list[str]:
    """What each block stands for, and its bytes, in columns within `width`."""
    named = {name: f"{name} {size(part)}" for name, part in parts.items() if part}
    cell = max(map(len, named.values()), default=0)
    columns = max((width + GAP) // (cell + 2 + GAP), 1)
    cells = [f"{pen.cells(name, 1)} {text:<{cell}}" for name, text in named.items()]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    return [(" " * GAP).join(row).rstrip() for row in rows]


def _bar(parts: Mapping[str, int], scale: float, limit: int | None, pen: Pen) -> str:
    ends = [0, *(round(end * scale) for end in accumulate(parts.values()))]
    lengths = [end - start for start, end in pairwise(ends)]
    cells = [name for name, length in zip(parts, lengths, strict=True) for _ in range(length)]
    if limit is not None:
        cells += ["free"] * (limit - len(cells))
        cells.insert(limit, "limit")
    return "".join(pen.cells(name, len(list(run))) for name, run in groupby(cells))
