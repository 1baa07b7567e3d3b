"""The list as the person uses it: what is in it, the search, the row under the cursor."""

from __future__ import annotations

from collections.abc import Callable

from llamatop.reports.models import Choice
from llamatop.tui.start import rows
from llamatop.tui.start.answering import Answering
from llamatop.tui.start.edit import Edit
from llamatop.tui.start.rows import Item, Kept, Opened, Row


class Listing:
    """Rows and a cursor; `wanted` is the model on which the cursor stands at first.

    `named` tells what is known of a name that is typed.
    """

    def __init__(self, wanted: str, named: Callable[[str], Choice] = rows.typed) -> None:
        self.choices: list[Choice] = []
        self.kept: list[Kept] = []
        self.servers: list[Answering] = []
        self.search = Edit()
        self.rows: list[Row] = []
        self.at = 0
        """The row under the cursor."""
        self._wanted, self._named = wanted, named
        self._moved = False
        """Whether the person has put the cursor where it is."""

    @property
    def selected(self) -> Item | None:
        """What the cursor is on."""
        row = self.rows[self.at] if self.at < len(self.rows) else None
        return row if isinstance(row, Choice | Opened) else None

    def fill(self) -> None:
        """Make the rows anew; the cursor stays on its row where the person has put it there."""
        before = self.selected if self._moved else None
        search = self.search.text
        self.rows = rows.rows_of(self.choices, self.kept, search, self._named, self.servers)
        same = (i for i, row in enumerate(self.rows) if rows.same(row, before))
        self.at = next(same, self._first())

    def _first(self) -> int:
        """The first row that the search leaves; without one, the model that was asked for."""
        models = enumerate(self.rows)
        places = (i for i, r in models if isinstance(r, Choice) and r.model == self._wanted)
        first = rows.nearest(self.rows, 0, 1)
        return first if self.search.text else next(places, first)

    def edit(self, search: Edit) -> None:
        """Search for something else: the first row that is left is under the cursor."""
        before, self.search = self.search.text, search
        if search.text != before:
            self._moved = not search.text
            self.fill()

    def move(self, steps: int) -> None:
        """The cursor up or down, over rows that cannot be chosen."""
        there = min(max(self.at + steps, 0), max(len(self.rows) - 1, 0))
        self.put(rows.nearest(self.rows, there, 1 if steps > 0 else -1))

    def jump(self, direction: int) -> None:
        """To the first row of another group."""
        self.put(rows.group_start(self.rows, self.at, direction))

    def put(self, at: int) -> None:
        """The cursor on a row, if it can stand there."""
        self._moved = True
        if at < len(self.rows) and rows.selectable(self.rows[at]):
            self.at = at
