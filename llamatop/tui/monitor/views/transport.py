"""The transport bar of a replay: state, speed, position, and what happened where."""

from __future__ import annotations

from llamatop.tui.drawing.lines import Line, Span, line_width, overlay
from llamatop.tui.monitor.frame import Playback
from llamatop.tui.monitor.views.values import TIMES, moment

SPEED_SIGNS = {0.25: "¼", 0.5: "½"}

_FINER = 2
"""More digits of the position while paused: a token takes milliseconds."""


def track(playback: Playback, width: int) -> tuple[int, int]:
    """First cell and cells of the bar that can be clicked."""
    start = 2 + 3 + 4 + _place_width(playback) + _FINER + 1
    end = _place_width(playback) + 2 + line_width(_note(playback, width))
    return start, max(width - start - end, 0)


def transport(playback: Playback, width: int) -> Line:
    """The bar in one row."""
    _, cells = track(playback, width)
    sign = "▶ " if playback.playing else "❚❚"
    wide = _place_width(playback)
    spans: list[Span] = [
        (" ", "text"),
        (f"{sign}  ", "key.bold"),
        (f"{speed(playback.speed):<4}", "text"),
        (f"{_position(playback):<{wide + _FINER}}", "text.bold"),
        (" ", "text"),
        *_track(playback, cells),
        *_note(playback, width),
        (f" {moment(playback.length):>{wide}} ", "dim"),
    ]
    return tuple(spans)


def _position(playback: Playback) -> str:
    """As long as the end's time, and finer while paused."""
    told = moment(playback.position, 1 if playback.playing else 1 + _FINER)
    return " " * (_place_width(playback) - len(moment(playback.position))) + told


def speed(value: float) -> str:
    """A quarter to 64 times the recorded pace, as `2` and the sign for times."""
    return SPEED_SIGNS.get(value, f"{value:g}") + TIMES


def time_at(playback: Playback, x: int, width: int) -> int | None:
    """The time (ns) that a click at a cell means; None beside the bar."""
    start, cells = track(playback, width)
    if cells < 2 or not start <= x < start + cells:
        return None
    share = (x - start) / (cells - 1)
    return playback.start + round(share * (playback.length - playback.start))


def _note(playback: Playback, width: int) -> list[Span]:
    """What stands here, or its first part, where there is room for it beside the bar."""
    notes = (playback.note, playback.note.partition(",")[0])
    fitting = next((note for note in notes if note and width >= 3 * len(note)), "")
    return [(f"  {fitting} ", "warn")] if fitting else []


def _place_width(playback: Playback) -> int:
    return len(moment(playback.length))


_MARKS = {
    "level": ("╋", "key"),
    "found": ("┃", "good"),
    "restart": ("↻", "warn"),
    "alert": ("▲", "warn"),
    "failure": ("┃", "bad"),
}
"""How each kind of mark is drawn; where several fall into one cell, the last of these."""

_SIGNS = list(_MARKS.values())


def _track(playback: Playback, cells: int) -> list[Span]:
    """The way gone, a knob, the way left; levels, failures, bookmarks and more marked on it."""
    if cells < 1:
        return []
    knob = _cell(playback, playback.position, cells)
    marks: dict[int, tuple[str, str]] = {}
    for time, kind in playback.marks:
        place = _cell(playback, time, cells)
        sign = _MARKS.get(kind, _MARKS["level"])
        marks[place] = max(marks.get(place, sign), sign, key=_SIGNS.index)
    for time in playback.bookmarks:
        marks[_cell(playback, time, cells)] = ("◆", "good")
    marks[knob] = ("●", "key.bold")
    laid = [(place, mark, role) for place, (mark, role) in marks.items()]
    gone = [(p, m, r) for p, m, r in laid if p <= knob]
    rest = [(p - knob - 1, m, r) for p, m, r in laid if p > knob]
    return [
        *overlay("━" * (knob + 1), "key", gone),
        *overlay("─" * (cells - knob - 1), "faint", rest),
    ]


def _cell(playback: Playback, time: int, cells: int) -> int:
    length = playback.length - playback.start
    if length <= 0:
        return 0
    return min(max(round((time - playback.start) / length * (cells - 1)), 0), cells - 1)
