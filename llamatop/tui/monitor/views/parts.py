"""The predicted peak, part by part: one bar of the model's memory, and what each piece is."""

from __future__ import annotations

from collections.abc import Mapping

from llamatop.events.sanitize import one_line
from llamatop.reports.bar import BLOCKS, OTHER
from llamatop.text.formatting import size
from llamatop.tui.drawing.lines import Line, Span, fitting, width_of

_ROLES = ("memory.7", "memory.5", "memory", "memory.4")
_PLACES = {name: place for place, name in enumerate(BLOCKS)}


def bar_line(name: str, parts: Mapping[str, int], width: int) -> Line:
    """`name`, the sum and a bar of its parts, in at most `width` cells."""
    start: list[Span] = [(f" {name} ", "dim"), (f"{size(sum(parts.values())):>8}", "text")]
    room = width - len(name) - 13
    if room < 8:
        return tuple(start)
    return (*start, ("  ", "text"), *pieces(parts, room))


def legend(parts: Mapping[str, int], width: int) -> Line:
    """Each part with its size, as many as fit; the largest first."""
    largest = sorted(_known(parts), key=lambda name: -parts[name])
    groups: list[list[Span]] = [
        [_look(name), (f" {one_line(name)} ", "dim"), (size(parts[name]), "text")]
        for name in largest
    ]
    return ((" ", "text"), *fitting(groups, width - 1, "   "))


def pieces(parts: Mapping[str, int], width: int) -> list[Span]:
    """The bar in exactly `width` cells, each piece named where it is long enough."""
    total, done, at = sum(_known(parts).values()), 0, 0
    spans: list[Span] = []
    for name, part in _known(parts).items():
        done += part
        end = round(done / total * width)
        spans += _piece(one_line(name), part, *_look(name), end - at)
        at = end
    return spans


def _piece(name: str, part: int, fill: str, role: str, cells: int) -> list[Span]:
    for words in (f" {name} {size(part)} ", f" {name} "):
        left = cells - width_of(words)
        if left >= 2:
            before = left // 2
            return [(fill * before, role), (words, "text"), (fill * (left - before), role)]
    return [(fill * cells, role)]


def _look(name: str) -> Span:
    """A part's block, the same as on paper, and its shade: always the same ones."""
    block, _, _ = BLOCKS.get(name, OTHER)
    return block, _ROLES[_PLACES.get(name, 0) % len(_ROLES)]


def _known(parts: Mapping[str, int]) -> dict[str, int]:
    """Those that take something."""
    return {name: part for name, part in parts.items() if part > 0}
