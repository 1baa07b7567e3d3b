"""What can still be read of a damaged SQLite file: the rows on its whole leaf pages.

SQLite refuses a file whose first page or inner pages are gone, though the rows lie elsewhere. Knows
nothing of what the rows mean; a row may come out wrong, so the caller verifies each one.
"""

from __future__ import annotations

from llamatop.recording.pages import PAGE, TABLE_LEAF, rows_on


def rows(data: bytes) -> dict[int, bytes]:
    """The last column of each row by its integer key, from every leaf page after the first."""

    def read(number: int) -> bytes:
        return data[(number - 1) * PAGE : number * PAGE]

    found: dict[int, bytes] = {}
    for number in range(2, -(-len(data) // PAGE) + 1):
        page = read(number)
        if page[0] == TABLE_LEAF:
            found.update(rows_on(read, page))
    return found
