"""The footer: the keys that work now, and what the screen itself costs."""

from __future__ import annotations

from typing import NamedTuple

from llamatop.tui.frame import Frame
from llamatop.tui.lines import Line, Span, line_width


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
    end: list[Span] = [(f"{frame.cost} ", "dim")] if frame.cost else []
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


def keys_of(frame: Frame, can_act: bool) -> list[Key]:
    """The keys that work now, most useful first."""
    keys: list[Key] = []
    session = frame.session
    if frame.playback is not None:
        keys += [
            Key("space", "pause" if frame.playback.playing else "play", "toggle_pause"),
            Key("←→", "seek", "seek(5)"),
            Key(",.", "step", "step(1)"),
            Key("+-", "speed", "more"),
            Key("n", "next mark", "to_mark(1)"),
            Key("w", "slowest gap", "to_gap(1)"),
            Key("b", "bookmark", "bookmark"),
            *([Key("[]", "bookmarks", "to_bookmark(1)")] if frame.playback.bookmarks else []),
        ]
    steered = can_act and session.ended is None and session.model is not None
    if steered and frame.playback is None:
        keys += [
            Key("space", "go on" if session.paused else "hold", "toggle_pause"),
            Key("+-", "concurrency", "more"),
            Key("c", "cancel", "cancel"),
        ]
    maximised = frame.choices.maximised
    if maximised == "events":
        keys += [Key("↑↓", "scroll", "move(-1)"), Key("G", "newest", "move(1000000)")]
    keys += [
        Key("enter", "request", "open"),
        Key("/", "filter", "filter"),
        Key("o", "order", "order"),
        Key("1-5", "restore" if maximised else "panel", f"maximise('{maximised or 'throughput'}')"),
        Key("z", "zoom", "zoom(1)"),
        *([Key("s", "sweep", "sweep"), Key("r", "recording", "record")] if steered else []),
        Key("e", "export", "export"),
        Key("m", "model", "models"),
        Key("t", "theme", "next_theme"),
    ]
    return [Key("q", "quit", "leave"), Key("?", "help", "help"), *keys]
