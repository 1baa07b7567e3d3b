"""The servers of a run: which one is next, which are lost, and when one is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from llamatop.engines.server.asking import Asker
from llamatop.engines.server.gauges import is_idle
from llamatop.engines.server.known import HEALTHY_AT
from llamatop.engines.server.meeting import Met, meet_again
from llamatop.engines.server.prompts import Prompter
from llamatop.events.kinds import Event, ServerFound, ServerKnown, ServerLost

ASK_AGAIN = 0.5
"""Seconds from one look for a lost server to the next."""

IDLE_SECONDS = 60.0
"""How long a server may compute on what was cancelled before that is told and it is used again."""


@dataclass(slots=True)
class Place:
    """One server of a run."""

    number: int
    met: Met
    asker: Asker
    prompter: Prompter
    up: bool = True
    """Whether it is sent to; not while it is being looked at."""
    lost: bool = False
    """Whether it was told lost, and not yet found."""
    found_at: int = 0
    """When it was last found again (ns)."""
    dropped: bool = False
    """Whether requests in flight were taken back since it was last known to be idle."""
    notes: list[str] = field(default_factory=list)

    def known(self, time: int) -> ServerKnown:
        """What is known of it, as an event."""
        met = self.met
        return ServerKnown(
            time,
            server=self.number,
            url=met.url,
            name=met.name,
            version=met.version,
            model=met.model,
            context=met.context,
            tokens_by=met.manner.by,
            sent=met.manner.fields.told(),
            notes=(*met.notes, *self.notes),
        )


class Places:
    """Takes turns among the servers that are up, and looks after those that seem lost."""

    def __init__(
        self, places: list[Place], now: Callable[[], int], tell: Callable[[Event], None]
    ) -> None:
        self.all = places
        self.changed: Callable[[], None] = lambda: None
        """Called when a server is back."""
        self.said = ""
        """What the server that was lost last said."""
        self._now = now
        self._tell = tell
        self._turn = 0
        self._looking: set[asyncio.Task[None]] = set()

    def next(self) -> Place | None:
        """Whose turn it is; None: no server is up."""
        for step in range(len(self.all)):
            place = self.all[(self._turn + step) % len(self.all)]
            if place.up:
                self._turn = (place.number + 1) % len(self.all)
                return place
        return None

    @property
    def any_up(self) -> bool:
        """Whether a request could be sent."""
        return any(place.up for place in self.all)

    def suspect(self, number: int, words: str) -> None:
        """A request failed as if its server were gone: send no more there until it is known."""
        place = self.all[number]
        if place.up:
            place.up = False
            task = asyncio.get_running_loop().create_task(self._look(place, words))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    def stop_looking(self) -> None:
        """Whoever is still lost is looked at again with the next level."""
        for task in self._looking:
            task.cancel()

    def look_again(self) -> None:
        """Look for those that were lost when the last level ended."""
        for place in self.all:
            if not place.up:
                place.up = True
                self.suspect(place.number, self.said)

    async def _look(self, place: Place, words: str) -> None:
        while await self._healthy(place) is not None:
            if not place.lost:
                place.lost, self.said = True, words
                self._tell(ServerLost(self._now(), place.number, words))
            await asyncio.sleep(ASK_AGAIN)
        if place.lost:
            await self._know_again(place)
            place.lost = False
            self._tell(ServerFound(self._now(), place.number))
        place.up, place.found_at = True, self._now()
        self.changed()

    async def _know_again(self, place: Place) -> None:
        """It may have come back as another one: what was measured before is not of that."""
        differs = await meet_again(place.asker, place.met)
        if differs:
            place.notes.append(f"It was lost, and came back with {differs}.")
        self._tell(place.known(self._now()))

    async def _healthy(self, place: Place) -> str | None:
        """None: it works; else what it says."""
        reply = await place.asker.get(HEALTHY_AT.get(place.met.name, "/v1/models"))
        bad = b"unavailable" in reply.body or b"unhealthy" in reply.body
        if reply.status == 200 and not bad:
            return None
        return f"HTTP {reply.status}" if reply.status else reply.body.decode()

    async def idle(self, stopping: Callable[[], bool]) -> None:
        """Wait for servers that may still compute what was cancelled, or tell that they may."""
        for place in self.all:
            if place.dropped and place.up:
                note = await self._until_idle(place, stopping)
                place.dropped = False
                if note and note not in place.notes:
                    place.notes.append(note)
                    self._tell(place.known(self._now()))

    async def _until_idle(self, place: Place, stopping: Callable[[], bool]) -> str:
        """Empty: it was idle; else what is to be told."""
        waited = 0.0
        while not stopping():
            idle = await is_idle(place.asker, place.met.name)
            if idle is None:
                return (
                    "Requests were cancelled, and it does not tell whether it was idle again when "
                    "the next level began."
                )
            if idle:
                return ""
            if waited > IDLE_SECONDS:
                return f"It was still busy {IDLE_SECONDS:.0f} s after requests were cancelled."
            await asyncio.sleep(ASK_AGAIN / 5)
            waited += ASK_AGAIN / 5
        return ""
