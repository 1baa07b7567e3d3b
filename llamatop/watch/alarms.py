"""Limits held against what servers tell, once a second, so that breaking one is an event.

Keeps a session of its own: what is told is the same whoever watches. Knows no screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llamatop.events.kinds import AlertChanged, Event
from llamatop.figures.limits import DIFFERS, METRICS, Limit
from llamatop.figures.odd import odd_one
from llamatop.figures.serving import Load, answers, replica_load
from llamatop.session.reducer import Session

Key = tuple[int, str]


class Alarms:
    """Knows which limits are broken, and since when."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._session = Session(keep=1)
        self._since: dict[tuple[Key, Limit], int] = {}
        self._on: set[tuple[Key, Limit]] = set()

    def fold(self, events: Sequence[Event]) -> None:
        """What came meanwhile."""
        for event in events:
            self._session.apply(event)

    def look(self, now: int) -> list[AlertChanged]:
        """What changed at a moment (ns)."""
        loads = {
            (place, name): replica_load(server, replica)
            for place, server in self._session.watched.items()
            if answers(server)
            for name, replica in server.replicas.items()
            if replica.samples
        }
        return [*self._broken(loads, now), *self._kept(loads, now)]

    def _broken(self, loads: dict[Key, Load], now: int) -> Iterator[AlertChanged]:
        for (key, limit), value in self._values(loads).items():
            if not limit.broken(value):
                self._since.pop((key, limit), None)
                continue
            since = self._since.setdefault((key, limit), now)
            if now - since >= limit.hold and (key, limit) not in self._on:
                self._on.add((key, limit))
                yield AlertChanged(now, *key, limit.spelled, True, value)

    def _kept(self, loads: dict[Key, Load], now: int) -> Iterator[AlertChanged]:
        """What holds no more; of a replica that is gone nothing is known, so nothing is told."""
        for key, limit in [one for one in self._on if one not in self._since]:
            self._on.discard((key, limit))
            yield AlertChanged(now, *key, limit.spelled, False)

    def _values(self, loads: dict[Key, Load]) -> dict[tuple[Key, Limit], float | None]:
        found = odd_one(loads)
        odd = found[0] if found is not None else None
        return {
            (key, limit): float(key == odd)
            if limit.metric == DIFFERS
            else METRICS[limit.metric](load)
            for key, load in loads.items()
            for limit in self._limits
        }
