"""The footer: the keys that work now, and what the screen itself costs."""

from __future__ import annotations

import re
from typing import NamedTuple

from llamatop.tui.drawing.lines import Line, Span, line_width
from llamatop.tui.monitor.frame import Choices, Frame, Playback
from llamatop.tui.monitor.marks import TROUBLES


class Key(NamedTuple):
    """A key, what it does in a word, and the action behind it."""

    key: str
    word: str
    action: str


class Hit(NamedTuple):
    """Cells of the footer that act when clicked."""

    start: int
    end: int
    action: str


def footer(frame: Frame, keys: list[Key], width: int) -> tuple[Line, list[Hit]]:
    """The line, and where it can be clicked; keys that do not fit are left out from the right."""
    cost = _cost(frame, width)
    end: list[Span] = [(f"{cost} ", "dim")] if cost else []
    room = width - line_width(end)
    line: list[Span] = [(" ", "text")]
    hits: list[Hit] = []
    at = 1
    for key in keys:
        cells = len(key.key) + len(key.word) + 1
        if at + cells + 2 > room:
            break
        line += [(key.key, "key.bold"), (f" {key.word}", "dim"), ("  ", "text")]
        hits.append(Hit(at, at + cells, key.action))
        at += cells + 2
    return (*line, (" " * max(room - at, 0), "text"), *end), hits


def _cost(frame: Frame, width: int) -> str:
    """In full where there is room or something is late; else the share of a core alone."""
    share = _SHARE.search(frame.cost)
    if share is None or width >= _WIDE or "late" in frame.cost:
        return frame.cost
    return share.group()


_WIDE = 96
"""Cells from which keys leave room for the whole cost."""

_SHARE = re.compile(r"[ \d]{3} % cpu")


def keys_of(frame: Frame, can_act: bool) -> list[Key]:
    """The keys that work now, most useful first; the table's, in its border too, last."""
    session, choices = frame.session, frame.choices
    steered = can_act and session.ended is None and session.model is not None
    first, then = _playing(frame.playback) if frame.playback is not None else ([], [])
    if steered and frame.playback is None:
        first, then = _steering(session.paused)
    over = frame.playback is None and session.ended is not None
    another = Key("m", "model", "models")
    alone = choices.maximised
    table = choices.focus == "requests"
    moving = _moving(choices, alone is not None) if not table else []
    if table and alone:
        moving = [Key("4", "restore", "maximise('requests')")]
    return [
        Key("q", "quit", "leave"),
        Key("?", "help", "help"),
        *([another] if over else []),
        *first[:2],
        *moving,
        *first[2:],
        Key("tab", "panel", "focus_on(1)"),
        *then,
        *(
            []
            if alone
            else [Key("1-6" if session.watched else "1-5", "maximise", "maximise('throughput')")]
        ),
        *([Key("v", "values", "values")] if session.watched and choices.focus != "watched" else []),
        Key("z", "zoom", "zoom(1)"),
        Key("e", "export", "export"),
        *([] if over else [another]),
        Key("t", "theme", "next_theme"),
        *(_TABLE if table else ()),
    ]


_TABLE = (
    Key("enter", "open", "open"),
    Key("/", "filter", "filter"),
    Key("o", "order", "order"),
)

_MOVED = {
    "throughput": "zoom",
    "latency": "figure",
    "memory": "history",
    "events": "scroll",
    "watched": "zoom",
}
"""What the keys for moving do in a panel, in a word; nothing in others."""


def _moving(choices: Choices, alone: bool) -> list[Key]:
    """The keys of a panel without rows."""
    panel, listed = choices.focus, choices.origins is not None
    newest = [Key("G", "newest", "move(1000000)")] if panel == "events" else []
    values = [Key("v", "view" if listed else "values", "values")] if panel == "watched" else []
    opened = Key("enter", "restore" if alone else "maximise", "open")
    moved = "scroll" if listed and panel == "watched" else _MOVED.get(panel)
    moving = [Key("↑↓", moved, "move(1)")] if moved else []
    return [*moving, *values, opened, *newest]


def _playing(playback: Playback) -> tuple[list[Key], list[Key]]:
    """Those of a replay: the first ones, and the others."""
    bookmarks = [Key("[]", "bookmarks", "to_bookmark(1)")] if playback.bookmarks else []
    kinds = {kind for _, kind in playback.marks}
    now = [Key(">", "now", "to_end(1)")] if playback.following == "behind" else []
    return [
        *now,
        Key("space", "pause" if playback.playing else "play", "toggle_pause"),
        Key("←→", "seek", "seek(5)"),
        Key(",.", "step", "step(1)"),
        *([] if playback.following == "now" else [Key("+-", "speed", "more")]),
    ], [
        *([Key("n", "level", "to_level(1)")] if "level" in kinds else []),
        *([Key("f", "failure", "to_failure(1)")] if kinds.intersection(TROUBLES) else []),
        Key("w", "slowest gap", "to_gap(1)"),
        Key("b", "bookmark", "bookmark"),
        *bookmarks,
    ]


def _steering(paused: bool) -> tuple[list[Key], list[Key]]:
    """The same of a live run."""
    return [
        Key("space", "go on" if paused else "hold", "toggle_pause"),
        Key("+-", "concurrency", "more"),
        Key("c", "cancel", "cancel"),
    ], [Key("s", "sweep", "sweep"), Key("r", "recording", "record")]
