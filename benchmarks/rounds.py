"""Turns of several engines, round by round, kept in a file, a line of JSON each.

A file that is gone on with must be of the same plan. A round goes forwards through the engines, the
next one backwards. A turn that failed is a line too: what failed once is not tried again in its
round. Knows no engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from llamatop.errors import InputError

Told = dict[str, Any]


class Rounds:
    """What was measured so far; in `path`, where there is one."""

    def __init__(self, path: Path | None, plan: Told) -> None:
        """Raises InputError where the file is of another plan."""
        self._path = path
        self._lines: list[Told] = []
        if path is not None and path.is_file() and (text := path.read_text(encoding="utf-8")):
            first, *lines = map(json.loads, text.splitlines())
            if first != plan:
                raise InputError(f"{path}: is of another plan, {first}; take another file")
            self._lines = lines
        else:
            self._write(plan)

    def to_come(self, names: Sequence[str], more: int) -> Iterator[tuple[int, str]]:
        """Rounds and engines that are still to run, until `more` rounds are whole from now on.

        One that was begun is ended first, and counts.
        """
        done = {(line["round"], line["engine"]) for line in self._lines}
        place = next(at for at in range(len(done) + 1) if any((at, n) not in done for n in names))
        for at in range(place, place + more):
            for name in names if at % 2 == 0 else reversed(names):
                if (at, name) not in done:
                    yield at, name

    def keep(self, place: int, engine: str, told: Told | None) -> None:
        """One turn; None where it failed."""
        line = {"round": place, "engine": engine, "told": told}
        self._lines.append(line)
        self._write(line)

    def of(self, engine: str) -> list[Told]:
        """Its turns that did not fail."""
        return [line["told"] for line in self._lines if line["engine"] == engine and line["told"]]

    def failed(self, engine: str) -> int:
        """How many of its turns did."""
        return sum(not line["told"] for line in self._lines if line["engine"] == engine)

    def _write(self, line: Told) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(line)}\n")


def median_of(values: Sequence[Told], of: Callable[[Told], float | None]) -> float | None:
    """Over turns; None where none told it."""
    found = sorted(value for one in values if (value := of(one)) is not None)
    if not found:
        return None
    half = len(found) // 2
    return found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2
