"""The pages of docs that are told by the code itself: keys, and kinds of event.

    python scripts/reference.py        # writes docs/keys.md and docs/kinds.md anew

A test says when they are old.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llamatop.events.kinds import KINDS
from llamatop.tui.attach import keys as attach
from llamatop.tui.compare import keys as compare
from llamatop.tui.monitor import keys as monitor
from llamatop.tui.start import keys as start

DOCS = Path(__file__).resolve().parents[1] / "docs"

_KEYS = """\
# Keys

On every screen `?` (or `F1`) shows its keys, and `ctrl+p` everything by name, which can be
searched. Footers are buttons for a mouse; a click gives a panel the keys, a double click opens it.
This page is written by `python scripts/reference.py`.
"""

_KINDS = """\
# Kinds of event

What the column `kind` of a [recording](recording-format.md) may hold. Times are nanoseconds since
the run began, sizes bytes; what each field means stands in `llamatop/events/kinds.py`. This page is
written by `python scripts/reference.py`.
"""


def keys_page() -> str:
    """Every key of every screen."""
    tables = (
        ("The start screen", start.COMMANDS),
        ("A run, live", monitor.LIVE),
        ("A recording, played", monitor.REPLAY),
        ("A run, live or played", monitor.ALWAYS),
        ("A run on servers that tell of themselves", monitor.SERVERS),
        ("Watched servers", attach.COMMANDS),
        ("Runs side by side", compare.COMMANDS),
    )
    return _KEYS + "".join(_keys(title, commands) for title, commands in tables)


def _keys(title: str, commands: Iterable[monitor.Command]) -> str:
    rows = [f"| `{keys}` | {told} |\n" for keys, told in (c.page for c in commands if c.page)]
    return f"\n## {title}\n\n| key | |\n| --- | --- |\n{''.join(rows)}"


def kinds_page() -> str:
    """Every kind of event, with what it tells and its fields."""
    rows = [
        f"| `{name}` | {_first_line(kind)} | {_fields(kind)} |\n" for name, kind in KINDS.items()
    ]
    return f"{_KINDS}\n| kind | tells | fields |\n| --- | --- | --- |\n{''.join(rows)}"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


def _fields(kind: type) -> str:
    names: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]
    return " ".join(f"`{name}`" for name in names if name != "time")


PAGES = {"keys.md": keys_page, "kinds.md": kinds_page}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
