"""Where each part of the start screen stands at any size. Pure arithmetic."""

from __future__ import annotations

from llamatop.tui.drawing.box import Box
from llamatop.tui.start.form import FIELDS

BESIDE = 100
"""Cells of width from which the settings stand beside the list."""

_SETTINGS = len(FIELDS) + 5
_NARROWEST, _WIDEST = 42, 72


def start_plan(width: int, height: int, replay: bool, told: int = 1) -> dict[str, Box]:
    """The box of everything that is shown; `replay`: a recording is chosen, not a model.

    `told` are the lines of a command that is longer than most.
    """
    if width < 1 or height < 1:
        return {}
    boxes: dict[str, Box] = {}
    top, bottom = 0, height
    if height >= 6:
        boxes["header"] = Box(0, 0, width, 1)
        boxes["footer"] = Box(0, height - 1, width, 1)
        top, bottom = 1, height - 1
    beside = width >= BESIDE and height >= 24
    if height >= 12 and width >= 24:
        rows = max(3 if beside else 4 if height >= 18 else 3, min(told + 2, height // 4))
        bottom -= rows
        boxes["command"] = Box(0, bottom, width, rows)
    body = Box(0, top, width, bottom - top)
    return boxes | (_beside(body, replay) if beside else _under(body))


def _beside(body: Box, replay: bool) -> dict[str, Box]:
    """The list at the left, the rest at the right."""
    right = min(max(round(body.width * 0.35), _NARROWEST), _WIDEST)
    left = body.width - right
    boxes = {"list": Box(0, body.y, left, body.height)}
    if replay:
        return boxes | {"settings": Box(left, body.y, right, body.height)}
    rows = min(_SETTINGS, body.height)
    boxes["settings"] = Box(left, body.y, right, rows)
    if body.height - rows >= 3:
        boxes["memory"] = Box(left, body.y + rows, right, body.height - rows)
    return boxes


def _under(body: Box) -> dict[str, Box]:
    """The list over the settings, which give way first."""
    rows = 6 if body.width < 60 else 5
    if body.height < rows + 6 or body.width < 44:
        return {"list": body}
    list_rows = body.height - rows
    return {
        "list": Box(0, body.y, body.width, list_rows),
        "settings": Box(0, body.y + list_rows, body.width, rows),
    }
