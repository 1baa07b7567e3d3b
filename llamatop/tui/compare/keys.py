"""The keys of the compare screen, and those that its footer names."""

from __future__ import annotations

from llamatop.tui.compare.state import Comparing
from llamatop.tui.monitor.keys import Command
from llamatop.tui.monitor.views.footer import Key

COMMANDS = (
    Command("space", "deck('toggle')", "play or pause", ("space", "play all together, or pause")),
    Command("right", "deck('skip', 5)", "on",
            ("← →", "back or on by 5 s, a twentieth at most; shift: a fifth of it")),
    Command("left", "deck('skip', -5)", "back"),
    Command("shift+right", "deck('skip', 1)", "on a little"),
    Command("shift+left", "deck('skip', -1)", "back a little"),
    Command("home,less_than_sign", "ends(-1)", "to the start",
            ("< >", "to the start, the end; also home, end")),
    Command("end,greater_than_sign", "ends(1)", "to the end"),
    Command("plus,equals_sign", "deck('faster', 1)", "play faster",
            ("+ -", "play faster or slower")),
    Command("minus", "deck('faster', -1)", "play slower"),
    Command("n", "deck('to_level', 1)", "to the next level",
            ("n N f F", "to the next or previous level, or failure")),
    Command("N", "deck('to_level', -1)", "to the previous level"),
    Command("f", "deck('to_failure', 1)", "to the next failure"),
    Command("F", "deck('to_failure', -1)", "to the previous failure"),
    Command("l", "level(1)", "next level", ("l L", "the next or previous level, or all of them")),
    Command("L", "level(-1)", "previous level"),
    Command("tab", "other(1)", "next run", ("tab", "one run against A in full, the next, or all")),
    Command("shift+tab", "other(-1)", "previous run"),
    Command("up,k", "scroll(-1)", "up a row", ("↑ ↓", "up or down a row; also k and j")),
    Command("down,j", "scroll(1)", "down a row"),
    Command("pageup", "scroll(-10)", "up", ("pg up dn", "ten rows up or down")),
    Command("pagedown", "scroll(10)", "down"),
    Command("1", "maximise('set-up')", "maximise set-up", ("1 2 3", "maximise one panel")),
    Command("2", "maximise('histories')", "maximise histories"),
    Command("3", "maximise('differences')", "maximise differences"),
    Command("e", "export", "save the screen and charts", ("e", "save the screen and charts")),
    Command("t", "theme", "next theme", ("t", "the next theme")),
    Command("escape", "back", "back", ("esc", "all panels, all runs; then back to the list")),
    Command("m", "close", "the list", ("m", "back to the list of models and recordings")),
    Command("question_mark,f1", "help", "all keys", ("?", "this page")),
    Command("q", "leave", "quit", ("q", "quit")),
)  # fmt: skip


_ALSO = ("up,k", "down,j", "pageup", "pagedown", "1", "2", "3", "e", "t", "question_mark,f1")

LIVE = (
    Command("s", "end", "stop", ("s", "stop now, and stay here")),
    *(command for command in COMMANDS if command.keys in _ALSO),
    Command("escape", "back", "all panels", ("esc", "all panels")),
    Command("q", "leave", "quit", ("q", "stop, and quit")),
)
"""While two settings run by turns."""


def footer_keys(comparing: Comparing) -> list[Key]:
    """The keys that work now, most useful first."""
    if comparing.trial is not None:
        return _live_keys(comparing)
    keys = [
        Key("q", "quit", "screen.leave"),
        Key("?", "help", "screen.help"),
        Key("space", "pause" if comparing.deck.playing else "play", "screen.deck('toggle')"),
        Key("←→", "seek", "screen.deck('skip', 5)"),
        Key("+-", "speed", "screen.deck('faster', 1)"),
    ]
    if len(comparing.levels) > 1:
        keys.append(Key("l", "level", "screen.level(1)"))
    if not comparing.pair:
        keys.append(Key("tab", "run", "screen.other(1)"))
    panel = comparing.maximised or "differences"
    return [
        *keys,
        Key("1-3", "restore" if comparing.maximised else "panel", f"screen.maximise('{panel}')"),
        Key("n", "next level", "screen.deck('to_level', 1)"),
        Key("esc", "back", "screen.back"),
        Key("e", "export", "screen.export"),
        Key("t", "theme", "screen.theme"),
    ]


def _live_keys(comparing: Comparing) -> list[Key]:
    """While two settings run by turns, and after."""
    ends = comparing.trial is not None and comparing.trial.turns.ending
    keys = [Key("q", "quit", "screen.leave"), Key("?", "help", "screen.help")]
    panel = comparing.maximised or "differences"
    return [
        *(keys if ends else [Key("s", "stop", "screen.end"), *keys]),
        Key("1-3", "restore" if comparing.maximised else "panel", f"screen.maximise('{panel}')"),
        Key("e", "export", "screen.export"),
        Key("t", "theme", "screen.theme"),
    ]
