"""Where each panel stands on a screen of any size: one layout that grows and gives way.

Throughput stands above memory, so that their histories share their seconds. Pure arithmetic.
"""

from __future__ import annotations

from llamatop.tui.drawing.box import Box

PANELS = ("throughput", "latency", "memory", "requests", "events", "watched")
"""In the order of their number keys."""

_LATENCY_WIDTH = 38
_TWO_COLUMNS = 72
_TALLEST_TOP = 48
_LOW = 16
"""Rows of the body below which the requests get half of them, and memory gives way."""
_THREE_OVER = 28
"""Rows of the body from which three panels stand over one another, and have more of it."""
_ROOMY = 15
"""Rows over the requests from which there are four panels, the lower ones with more to say."""


def plan(
    width: int, height: int, transport: bool, maximised: str | None, watched: bool = False
) -> dict[str, Box]:
    """The box of everything that is shown; what has no room is left out.

    `watched`: servers that the run drives tell of themselves, and have a panel of their own.
    """
    if width < 1 or height < 1:
        return {}
    boxes: dict[str, Box] = {}
    top, bottom = 0, height
    head = 2 if height >= 12 else 1
    boxes["header"] = Box(0, 0, width, head)
    top += head
    if bottom - top >= 4:
        bottom -= 1
        boxes["footer"] = Box(0, bottom, width, 1)
    if transport and bottom - top >= 1:
        bottom -= 1
        boxes["transport"] = Box(0, bottom, width, 1)
    body = Box(0, top, width, bottom - top)
    if body.height < 1:
        return boxes
    if maximised is not None:
        return boxes | {maximised: body}
    return boxes | _panels(body, watched)


def _panels(body: Box, watched: bool) -> dict[str, Box]:
    """The panels, or as many as the body has room for."""
    if body.height < 12 or body.width < 40:
        return {"requests": body}
    upper = min(max(body.height // 2 + 1, 9), _TALLEST_TOP)
    if body.height < _LOW:
        upper = body.height // 2
    elif watched and body.height >= _THREE_OVER:
        upper = min(body.height * 3 // 5, _TALLEST_TOP)
    requests = Box(0, body.y + upper, body.width, body.height - upper)
    top = Box(0, body.y, body.width, upper)
    panels = _two_columns(top) if body.width >= _TWO_COLUMNS else _one_column(top)
    return (_beside(panels) if watched else panels) | {"requests": requests}


def _beside(panels: dict[str, Box]) -> dict[str, Box]:
    """The servers' view under the throughput, cell below cell; memory gives way where it is low."""
    if "memory" not in panels:
        return panels
    above, below = panels["throughput"], panels["memory"]
    height = above.height + below.height
    if height < _ROOMY:
        return {**{n: box for n, box in panels.items() if n != "memory"}, "watched": below}
    first = height // 3
    second = (height - first) // 2
    rest = height - first - second
    return panels | {
        "throughput": Box(above.x, above.y, above.width, first),
        "watched": Box(above.x, above.y + first, above.width, second),
        "memory": Box(above.x, above.y + first + second, above.width, rest),
    }


def _two_columns(top: Box) -> dict[str, Box]:
    """Throughput over memory at the left, latency over events at the right."""
    left = min(round(top.width * 0.6), top.width - _LATENCY_WIDTH)
    first = top.height // 2 if top.height >= _ROOMY else (top.height + 1) // 2
    if top.height < 9:
        return {
            "throughput": Box(0, top.y, left, top.height),
            "latency": Box(left, top.y, top.width - left, top.height),
        }
    panels = {
        "throughput": Box(0, top.y, left, first),
        "memory": Box(0, top.y + first, left, top.height - first),
        "latency": Box(left, top.y, top.width - left, top.height),
    }
    if top.height >= _ROOMY:
        panels["latency"] = Box(left, top.y, top.width - left, first)
        panels["events"] = Box(left, top.y + first, top.width - left, top.height - first)
    return panels


def _one_column(top: Box) -> dict[str, Box]:
    """Throughput over memory, for narrow screens; on low ones throughput alone."""
    if top.height < 9:
        return {"throughput": top}
    first = (top.height + 1) // 2
    return {
        "throughput": Box(0, top.y, top.width, first),
        "memory": Box(0, top.y + first, top.width, top.height - first),
    }
