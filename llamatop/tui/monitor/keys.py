"""The monitor's keys and what they do, and what is made of such a table: bindings and orders.

Help and palette are made from it too. The start screen and the compare screen have their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from textual.binding import Binding, BindingType


class Command(NamedTuple):
    """A key and its action."""

    keys: str
    """Textual's names, divided by commas."""
    action: str
    told: str
    """What it does, for the palette."""
    page: tuple[str, str] | None = None
    """Key and words on the page of keys, often for two commands at once."""
    priority: bool = False


LIVE = (
    Command("space", "toggle_pause", "hold new requests back, or let them go on",
            ("space", "hold new requests back, or let them go on")),
    Command("plus,equals_sign", "more", "more requests at once",
            ("+ -", "more or fewer requests at once")),
    Command("minus", "less", "fewer requests at once"),
    Command("c", "cancel", "cancel the selected request", ("c", "cancel the selected request")),
    Command("s", "sweep", "sweep: 1 2 4 8 16 requests at once",
            ("s", "sweep: 1 2 4 8 16 at once, each to its end (asks first)")),
    Command("r", "record", "stop the recording and keep it, or start another",
            ("r", "stop recording, or start anew from here on")),
)  # fmt: skip

REPLAY = (
    Command("space", "toggle_pause", "play or pause", ("space", "play or pause")),
    Command("plus,equals_sign", "more", "play faster", ("+ -", "play faster or slower")),
    Command("minus", "less", "play slower"),
    Command("right", "seek(5)", "on",
            ("← →", "back or on by 5 s, a twentieth at most; shift: a fifth of it")),
    Command("left", "seek(-5)", "back"),
    Command("shift+right", "seek(1)", "on a little"),
    Command("shift+left", "seek(-1)", "back a little"),
    Command("less_than_sign,ctrl+home", "to_end(-1)", "to the recording's start",
            ("< >", "to the recording's start, its end; also home, end")),
    Command("greater_than_sign,ctrl+end", "to_end(1)", "to the recording's end"),
    Command("full_stop", "step(1)", "pause, and on by a token, or whatever else happened",
            (", .", "pause, and back or on by a token, or whatever else happened")),
    Command("comma", "step(-1)", "pause, and back by as much"),
    Command("n", "to_level(1)", "to the next level",
            ("n N f F", "to the next or previous level, or failure")),
    Command("N", "to_level(-1)", "to the previous level"),
    Command("f", "to_failure(1)", "to the next failure"),
    Command("F", "to_failure(-1)", "to the previous failure"),
    Command("w", "to_gap(1)", "to the next slowest gap between tokens",
            ("w W", "to the next slowest gap between tokens; back to a slower one")),
    Command("W", "to_gap(-1)", "back to a slower gap between tokens"),
    Command("b", "bookmark", "set a bookmark here, or take it away",
            ("b [ ]", "set a bookmark or take it away; to the previous, the next")),
    Command("right_square_bracket", "to_bookmark(1)", "to the next bookmark"),
    Command("left_square_bracket", "to_bookmark(-1)", "to the previous bookmark"),
)  # fmt: skip

ALWAYS = (
    Command("up,k", "move(-1)", "up a row",
            ("↑ ↓", "up or down in the panel that has the keys; also k, j")),
    Command("down,j", "move(1)", "down a row"),
    Command("pageup", "page(-1)", "up a screen",
            ("pg g G", "up or down a screen; to the first or last row")),
    Command("pagedown", "page(1)", "down a screen"),
    Command("g", "move(-1000000)", "to the first row"),
    Command("G", "move(1000000)", "to the last row"),
    Command("home", "edge(-1)", "to the first row; in a replay to the start"),
    Command("end", "edge(1)", "to the last row; in a replay to the end"),
    Command("enter", "open", "open the selected request, or the panel that has the keys",
            ("enter", "open the selected request; another panel: maximise")),
    Command("tab", "focus_on(1)", "keys for the next panel",
            ("tab", "the keys for the next panel")),
    Command("shift+tab", "focus_on(-1)", "keys for the panel before"),
    Command("slash", "filter", "show only requests that hold some words",
            ("/", "show only requests that hold these words")),
    Command("o", "order", "sort by the next column",
            ("o O", "sort by the next column; turn round")),
    Command("O", "reverse", "turn the order round"),
    Command("1", "maximise('throughput')", "maximise throughput",
            ("1 - 5", "maximise one panel, or show all again")),
    Command("2", "maximise('latency')", "maximise latency"),
    Command("3", "maximise('memory')", "maximise memory"),
    Command("4", "maximise('requests')", "maximise requests"),
    Command("5", "maximise('events')", "maximise events"),
    Command("z", "zoom(1)", "histories over a longer time",
            ("z Z", "histories over a longer or shorter time")),
    Command("Z", "zoom(-1)", "histories over a shorter time"),
    Command("m", "models", "another model or recording", ("m", "another model, run or recording")),
    Command("e", "export", "save the screen and charts", ("e", "save the screen and charts")),
    Command("t", "next_theme", "the next theme", ("t", "the next theme")),
    Command("escape", "back", "close, clear, restore",
            ("esc", "close; clear the filter; all panels")),
    Command("question_mark,f1", "help", "all keys", ("?", "this page; ctrl+p: everything by name")),
    Command("q", "leave", "quit", ("q", "quit; what was recorded is kept")),
    Command("ctrl+q,ctrl+c", "leave", "quit, from anywhere", priority=True),
)  # fmt: skip

SERVERS = (
    Command("6", "maximise('watched')", "maximise what the servers tell",
            ("6 v", "maximise what servers tell; every value, where it comes from")),
    Command("v", "values", "every value that the servers tell, and where it comes from"),
)  # fmt: skip

COMMANDS = (*LIVE, *REPLAY, *SERVERS, *ALWAYS)


def orders(commands: Iterable[Command]) -> dict[str, str]:
    """What each key orders; where it does not work, nobody takes the order."""
    return {key: c.action for c in commands for key in c.keys.split(",") if key}


def bindings(commands: Iterable[Command]) -> list[BindingType]:
    """Textual's bindings, the same keys once."""
    once = {c.keys: c for c in commands if c.keys}.values()
    return [Binding(c.keys, c.action, c.told, show=False, priority=c.priority) for c in once]


def commands(replay: bool, live: bool, servers: bool) -> list[Command]:
    """Those that work on a replay, on a live run, or on neither; beside `servers` that tell."""
    here = (*(LIVE if live else ()), *(REPLAY if replay else ()))
    return [*here, *(SERVERS if servers else ()), *ALWAYS]


_SPELLED = {
    "question_mark": "?",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "slash": "/",
    "full_stop": ".",
    "comma": ",",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "pageup": "page up",
    "pagedown": "page down",
    "escape": "esc",
}


def spelled(command: Command) -> str:
    """Its keys as they stand on a keyboard: `? or f1`."""
    return " or ".join(_SPELLED.get(key, key) for key in command.keys.split(","))
