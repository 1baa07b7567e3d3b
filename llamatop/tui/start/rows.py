"""What the start screen lists: models by where they come from, then recordings. Pure.

Filters by words; the row of a name that is typed rather than listed is made here too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from llamatop.errors import InputError
from llamatop.reports.models import Choice
from llamatop.settings.servers import base_urls, with_scheme
from llamatop.tui.start.answering import HEADING, Answering
from llamatop.tui.start.form import SERVER

ADDRESSES = "a server, driven from here"

GROUPS = {
    "bundled": "bundled",
    "given": "asked for",
    "server": ADDRESSES,
    "folder": "folders",
    "gguf": "GGUF files, which llama.cpp runs",
    "downloaded": "downloaded",
    "built-in": "built-in architectures, with random weights",
}
"""Sources of a `Choice` in the order in which they are listed, and their headings."""

RECORDINGS = "recent recordings, opened in replay"
SAMPLES = "sample recordings, opened in replay"
TYPED = "another, as typed"
UNMATCHED = "nothing here has that name; as a Hugging Face id or a folder"
HINT = "type a Hugging Face id, a folder, or a server's http://…"

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


class Kept(msgspec.Struct, frozen=True):
    """A recording, as far as its name and the end of its file tell."""

    path: Path
    """The Parquet file, even where only its journal is there yet."""
    model: str
    started: datetime
    """In local time."""
    bytes: int
    engine: str = ""
    events: int | None = None
    state: str = "complete"
    """`complete`, `stopped early`, `being recorded`, `cut off` (a journal, recovered when opened)
    or `damaged`."""
    sample: bool = False
    """It ships with llamatop."""


class Heading(msgspec.Struct, frozen=True):
    """A row that cannot be chosen: the name of a group."""

    text: str


class Hint(msgspec.Struct, frozen=True):
    """A row that cannot be chosen: what a person might do."""

    text: str


Opened = Kept | Answering
"""What is opened as it is, with nothing to set."""

Item = Choice | Opened
Row = Item | Heading | Hint


def rows_of(
    choices: Sequence[Choice],
    kept: Sequence[Kept],
    query: str,
    named: Callable[[str], Choice] | None = None,
    servers: Sequence[Answering] = (),
) -> list[Row]:
    """The rows that a search leaves, group by group, the typed name last, as `named` knows it."""
    words = query.casefold().split()
    rows = _group(HEADING, [one for one in servers if _matches(one, words)])
    for source, heading in GROUPS.items():
        models = [c for c in choices if c.source == source and _matches(c, words)]
        rows += _group(heading, models)
    name = query.strip()
    recordings = [k for k in kept if _matches(k, words)]
    if not name:
        rows += _group(TYPED, [Hint(HINT)])
    rows += _group(RECORDINGS, (k for k in recordings if not k.sample))
    rows += _group(SAMPLES, (k for k in recordings if k.sample))
    if name:
        choice = server(name) or (named or typed)(name)
        if all(one.model != choice.model for one in choices):
            unknown = choice.source == "typed" and not choice.unreadable
            alone = unknown and choices and not rows
            heading = UNMATCHED if alone else TYPED
            rows += _group(ADDRESSES if choice.source == SERVER else heading, [choice])
    return rows


def typed(name: str) -> Choice:
    """A model of which nothing but its name is known yet."""
    return Choice(name, "typed", None, None, None)


def server(text: str) -> Choice | None:
    """The server, or servers, that are typed by their addresses; None: that is something else."""
    words = [with_scheme(word) for word in text.split()]
    if not words or not all(_ADDRESS.match(word) for word in words):
        return None
    try:
        return Choice(" ".join(base_urls(words)), SERVER, None, None, None)
    except InputError as error:
        return Choice(" ".join(words), SERVER, None, None, None, unreadable=str(error))


def model_name(choice: Choice) -> str:
    """What `--model` gets; a typed home folder by its whole name."""
    typed = choice.source == "typed" and choice.model.startswith("~")
    return os.path.expanduser(choice.model) if typed else choice.model  # noqa: PTH111


def _group(heading: str, rows: Iterable[Row]) -> list[Row]:
    rows = list(rows)
    return [Heading(heading), *rows] if rows else []


def _matches(item: Item, words: Sequence[str]) -> bool:
    told = told_of(item).casefold() if words else ""
    return all(word in told for word in words)


def told_of(item: Item) -> str:
    """All of an item that can be searched for."""
    if isinstance(item, Answering):
        return item.searched
    if isinstance(item, Choice):
        return f"{item.model} {item.source}"
    kind = "sample recording" if item.sample else "recording"
    return f"{item.model} {item.path.name} {item.started:%Y-%m-%d %H:%M} {kind} {item.state}"


def same(one: Row, other: Row | None) -> bool:
    """Whether two rows stand for the same thing, though more may be known of one by now."""
    if isinstance(one, Choice) and isinstance(other, Choice):
        return (one.model, one.source) == (other.model, other.source)
    if isinstance(one, Kept) and isinstance(other, Kept):
        return one.path == other.path
    if isinstance(one, Answering) and isinstance(other, Answering):
        return one.url == other.url
    return False


def selectable(row: Row) -> bool:
    """Whether the cursor may stand on it."""
    return isinstance(row, Choice | Opened)


def nearest(rows: Sequence[Row], at: int, direction: int) -> int:
    """The nearest row from `at` on that can be chosen, looking back where there is none."""
    ahead = range(at, len(rows) if direction > 0 else -1, direction)
    behind = range(at, -1 if direction > 0 else len(rows), -direction)
    places = [*ahead, *behind] if rows else []
    return next((place for place in places if selectable(rows[place])), 0)


def group_start(rows: Sequence[Row], at: int, direction: int) -> int:
    """The first row of the next group, of this one, or of the one before."""
    starts = [i + 1 for i, row in enumerate(rows) if isinstance(row, Heading)]
    starts = [start for start in starts if start < len(rows) and selectable(rows[start])]
    if direction > 0:
        return next((start for start in starts if start > at), at)
    return next((start for start in reversed(starts) if start < at), at)
