"""The keys of the attach screen, and those that its footer names."""

from __future__ import annotations

from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.keys import Command
from llamatop.tui.monitor.views.footer import Key

WATCHING = (
    Command("up,k", "move(-1)", "up a row", ("↑ ↓", "another server or replica; also k and j")),
    Command("down,j", "move(1)", "down a row"),
    Command("home,g", "move(-1000)", "to the first row", ("g G", "to the first or last row")),
    Command("end,G", "move(1000)", "to the last row"),
    Command("enter,v", "open", "every value of the row, and where it comes from",
            ("enter v", "every value of the row: where it comes from, how old it is")),
    Command("z", "zoom(1)", "rates over a longer time",
            ("z Z", "rates over a longer or shorter time")),
    Command("Z", "zoom(-1)", "rates over a shorter time"),
    Command("r", "app('record')", "stop the recording and keep it, or start another",
            ("r", "stop recording, or start anew from here on")),
    Command("m", "app('models')", "a model, a server or a recording",
            ("m", "another model, server or recording")),
    Command("e", "export", "save the screen", ("e", "save the screen")),
    Command("t", "app('next_theme')", "the next theme", ("t", "the next theme")),
    Command("escape", "back", "back to the table", ("esc", "back to the table")),
    Command("question_mark,f1", "help", "all keys", ("?", "this page")),
    Command("q", "app('leave')", "quit", ("q", "quit; the recording is finished first")),
)  # fmt: skip

PLAYING = (
    Command("space", "app('toggle_pause')", "play or pause", ("space", "play or pause")),
    Command("plus,equals_sign", "app('more')", "play faster", ("+ -", "play faster or slower")),
    Command("minus", "app('less')", "play slower"),
    Command("right", "app('seek(5)')", "5 seconds on",
            ("← → < >", "5 seconds back or on; with shift: 1; to the start, the end")),
    Command("left", "app('seek(-5)')", "5 seconds back"),
    Command("shift+right", "app('seek(1)')", "1 second on"),
    Command("shift+left", "app('seek(-1)')", "1 second back"),
    Command("less_than_sign", "app('to_end(-1)')", "to the recording's start"),
    Command("greater_than_sign", "app('to_end(1)')", "to the recording's end"),
    Command("b", "app('bookmark')", "set a bookmark here, or take it away",
            ("b [ ]", "set a bookmark or take it away; to the previous, the next")),
    Command("right_square_bracket", "app('to_bookmark(1)')", "to the next bookmark"),
    Command("left_square_bracket", "app('to_bookmark(-1)')", "to the previous bookmark"),
)  # fmt: skip

COMMANDS = (*PLAYING, *WATCHING)


def footer_keys(frame: Frame, detail: bool) -> list[Key]:
    """The keys that work now, most useful first."""
    playback = frame.playback
    playing = [
        *([Key(">", "now", "screen.app('to_end(1)')")] if playback.following == "behind" else []),
        Key("space", "pause" if playback.playing else "play", "screen.app('toggle_pause')"),
        Key("←→", "seek", "screen.app('seek(5)')"),
        Key("+-", "speed", "screen.app('more')"),
    ] if playback is not None else []  # fmt: skip
    return [
        Key("q", "quit", "screen.app('leave')"),
        Key("?", "help", "screen.help"),
        *playing,
        Key("↑↓", "scroll" if detail else "row", "screen.move(1)"),
        Key("enter", "table" if detail else "detail", "screen.open"),
        Key("z", "zoom", "screen.zoom(1)"),
        *([Key("r", "recording", "screen.app('record')")] if playback is None else []),
        Key("m", "choose", "screen.app('models')"),
        Key("e", "export", "screen.export"),
        Key("t", "theme", "screen.app('next_theme')"),
    ]
