"""What a person looks at: a row, a stretch of time; and the rows themselves, from a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llamatop.events.clock import SECOND
from llamatop.figures.serving import Load, answers, combined, replica_load, together
from llamatop.session.reducer import Session
from llamatop.session.watched import Replica, Watched
from llamatop.settings.servers import host_of

STEPS = (1, 2, 5, 10, 30, 60, 300)
"""Seconds that one cell of a chart covers."""


class Row(NamedTuple):
    """A line of the table: a server, one of its replicas, or all servers together."""

    place: int | None
    """Of the server; None: all together."""
    replica: str | None
    """None: the server as a whole."""
    title: str
    load: Load | None
    """None: it tells nothing now."""


@dataclass
class Looking:
    """The choices, kept over frames."""

    row: int = 0
    detail: bool = False
    step: int = 0
    """Which of `STEPS`."""
    scrolled: int = 0
    """Rows of the detail that are above it."""

    def move(self, steps: int, session: Session) -> None:
        """Another row; in the detail, other lines of it."""
        if self.detail:
            self.scrolled = max(self.scrolled + steps, 0)
        else:
            self.row = min(max(self.row + steps, 0), max(len(rows_of(session)) - 1, 0))

    def zoom(self, steps: int) -> None:
        """A longer or a shorter time."""
        self.step = min(max(self.step + steps, 0), len(STEPS) - 1)

    def open(self) -> None:
        """The detail of the row, or back to the table."""
        self.detail, self.scrolled = not self.detail, 0


def urls_of(session: Session) -> tuple[str, ...]:
    """The servers that are watched."""
    return session.started.config.urls if session.started is not None else ()


def server_of(session: Session, place: int) -> Watched:
    """What is known of a server; nothing yet, perhaps."""
    return session.watched.get(place, Watched())


def told(server: Watched) -> list[tuple[str, Replica]]:
    """The replicas that tell what they do now."""
    replicas = [(name, one) for name, one in server.replicas.items() if one.samples]
    return replicas if answers(server) else []


def rows_of(session: Session) -> list[Row]:
    """The lines of the table, in order."""
    rows: list[Row] = []
    urls = urls_of(session)
    for place, url in enumerate(urls):
        server = server_of(session, place)
        replicas = told(server)
        rows.append(Row(place, None, host_of(url), together(server) if replicas else None))
        if len(replicas) > 1:
            rows += [
                Row(place, name, name, replica_load(server, replica)) for name, replica in replicas
            ]
    if len(urls) > 1:
        up = [server for server in session.watched.values() if told(server)]
        rows.append(Row(None, None, "together", combined(up)))
    return rows


def chosen(session: Session, looking: Looking) -> Row | None:
    """The row under the cursor."""
    rows = rows_of(session)
    return rows[min(looking.row, len(rows) - 1)] if rows else None


def edges_of(session: Session, looking: Looking, width: int) -> list[int]:
    """The times between the cells of a chart (ns)."""
    step = STEPS[looking.step] * SECOND
    end = session.now // step * step
    return [end - step * (width - cell) for cell in range(width + 1)]
