"""The keys of the start screen, and those that its footer names."""

from __future__ import annotations

from llamatop.tui.monitor.keys import Command
from llamatop.tui.monitor.views.footer import Key

COMMANDS = (
    Command("enter", "run", "run it",
            ("enter", "run the model, replay the recording, compare the marked")),
    Command("", "", "search", ("a-z", "search; or type a Hugging Face id, a folder, a server's http://…")),
    Command("escape", "back", "back",
            ("esc", "to the list, clear the search; back; twice: leave")),
    Command("ctrl+t", "mark", "mark",
            ("space", "mark a recording, to compare it; ctrl t in a search")),
    Command("tab", "tab(1)", "next", ("tab", "on to the settings and through them; shift: back")),
    Command("shift+tab", "tab(-1)", "previous"),
    Command("up", "move(-1)", "up", ("↑ ↓", "choose a row, or a setting")),
    Command("down", "move(1)", "down"),
    Command("", "", "turn", ("← →", "another value of a setting; move in a text")),
    Command("pageup", "page(-1)", "up a screen", ("page ↑ ↓", "by a screen of rows")),
    Command("pagedown", "page(1)", "down a screen"),
    Command("home", "ends(-1)", "first row", ("home end", "to the first row, the last")),
    Command("end", "ends(1)", "last row"),
    Command("ctrl+up", "jump(-1)", "group before", ("ctrl ↑ ↓", "to the group before, the next")),
    Command("ctrl+down", "jump(1)", "next group"),
    Command("", "", "clear", ("ctrl u", "clear what stands before the caret; ctrl w: a word")),
    Command("f1", "help", "help", ("f1", "this page; ? too while nothing is searched for")),
    Command("ctrl+q,ctrl+c", "leave", "leave", ("ctrl q", "leave"), priority=True),
)  # fmt: skip


def footer_keys(
    in_form: bool,
    searching: bool,
    opens: str,
    marked: int = 0,
    *,
    over: bool = False,
    picks: bool = False,
) -> list[Key]:
    """The keys that work now, most useful first; `opens`: what opening what is chosen is,
    empty for what is run; `over`: there is something to go back to; `picks`: the field has values
    to pick from."""
    told = "list" if in_form else "clear search" if searching else ""
    leave = Key("esc", "back", "screen.back") if over else Key("ctrl q", "leave", "screen.leave")
    if opens:
        return _recording_keys(searching, marked, leave, opens)
    return [
        Key("enter", "run", "screen.run"),
        *([Key("esc", told, "screen.back")] if told else []),
        Key("↑↓", "field" if in_form else "choose", "screen.move(1)"),
        *([Key("←→", "value", "screen.turn(1)")] if in_form and picks else []),
        Key("tab", "next" if in_form else "settings", "screen.tab(1)"),
        Key("f1", "help", "screen.help"),
        *([] if over and told else [leave]),
    ]


def _recording_keys(searching: bool, marked: int, leave: Key, opens: str) -> list[Key]:
    """Those that work on a recording; `opens`: what opening it is."""
    back = "clear search" if searching else "unmark" if marked else ""
    return [
        Key("enter", f"compare {marked}" if marked > 1 else opens, "screen.run"),
        Key("ctrl t" if searching else "space", "mark", "screen.mark"),
        *([Key("esc", back, "screen.back")] if back else []),
        Key("↑↓", "choose", "screen.move(1)"),
        Key("f1", "help", "screen.help"),
        *([] if back and leave.key == "esc" else [leave]),
    ]
