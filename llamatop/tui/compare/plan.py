"""Where each part of the compare screen stands, whatever its size. Pure arithmetic."""

from __future__ import annotations

from llamatop.tui.drawing.box import Box

_LEAST = 3
"""Rows of a panel that shows anything: its frame and one line."""

_ENOUGH = 10
"""Rows with which histories of two rows a run leave room for their frame and a short table."""


def compare_plan(
    width: int, height: int, runs: int, wishes: tuple[int, int], maximised: str | None,
    *, played: bool = True,
) -> dict[str, Box]:  # fmt: skip
    """The box of everything that is shown; what has no room is left out.

    `wishes` are the rows that set-up and differences would fill, frames included; what is not
    `played` has no transport bar.
    """
    if width < 1 or height < 1:
        return {}
    head = 2 if height >= 12 else 1
    boxes = {"header": Box(0, 0, width, head)}
    bottom = height
    for name in ("footer", "transport") if played else ("footer",):
        if bottom - head >= 4:
            bottom -= 1
            boxes[name] = Box(0, bottom, width, 1)
    body = Box(0, head, width, bottom - head)
    if body.height < 1:
        return boxes
    if maximised is not None or body.height < 3 * _LEAST:
        return boxes | {maximised or "differences": body}
    return boxes | _panels(body, runs, wishes)


def _panels(body: Box, runs: int, wishes: tuple[int, int]) -> dict[str, Box]:
    """Set-up over histories over differences; what is left over goes to the histories."""
    setup = max(min(wishes[0], body.height * 3 // 10), _LEAST)
    rest = body.height - setup
    least = 2 + (2 * runs if rest >= 2 * runs + _ENOUGH else runs)
    differences = max(min(wishes[1], (rest + 1) // 2, rest - least), _LEAST)
    histories = rest - differences
    rows = (("set-up", setup), ("histories", histories), ("differences", differences))
    boxes, top = {}, body.y
    for name, height in rows:
        boxes[name] = Box(0, top, body.width, height)
        top += height
    return boxes
