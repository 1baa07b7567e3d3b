"""Conversations of a level: which turn comes next, and what was answered before.

Knows what engines told of each turn; nothing of when a turn may start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llamatop.engines.base import Exchange, Job
from llamatop.engines.sizes import Size


@dataclass(slots=True)
class Talk:
    """One conversation."""

    place: int
    turns: int
    first: int
    """Its first request."""
    history: list[Exchange] = field(default_factory=list)
    free_at: int = 0
    """When its last turn had been answered (ns)."""
    ids: list[int] = field(default_factory=list)
    """What has been answered of the turn that runs; likewise `texts` and `tokens`."""
    texts: list[str] = field(default_factory=list)
    tokens: int = 0

    def answered(self, job: Job) -> None:
        """The turn is complete."""
        self.history.append(Exchange(job, tuple(self.ids), "".join(self.texts)))
        self.ids, self.texts = [], []

    @property
    def goes_on(self) -> bool:
        """Whether there is another turn."""
        return len(self.history) < self.turns


class Talks:
    """Those of one stretch of work."""

    def __init__(self, turns: Callable[[int], int], size: Callable[[int, int], Size]) -> None:
        """`turns` of the conversation at a place, `size` of a turn of it, from 0."""
        self.ready: deque[Talk] = deque()
        """Those whose next turn may start."""
        self.owed = 0
        """Turns to come of those that have begun: no new one may take their requests."""
        self._turns = turns
        self._size = size
        self._running: dict[int, Talk] = {}

    def begin(self, place: int, request: int, left: int | None) -> Talk:
        """A new one, whose first turn is that request, where so many may still start."""
        turns = self._turns(place)
        if left is not None:
            turns = min(turns, left - self.owed)
        self.owed += turns
        return Talk(place, turns, request)

    def job(self, talk: Talk, request: int, due: int) -> Job:
        """Its next turn, as that request."""
        turn = len(talk.history)
        size = self._size(talk.place, turn)
        before = talk.history[-1].job.prompt_tokens + talk.tokens if turn else 0
        talk.tokens = 0
        self.owed -= 1
        self._running[request] = talk
        return Job(
            request,
            before + size.prompt_tokens,
            size.max_tokens,
            given=size.given,
            due=due,
            prefix=size.prefix,
            own_tokens=size.prompt_tokens - size.prefix_tokens,
            history=tuple(talk.history),
        )

    def heard(self, request: int, ids: list[int]) -> None:
        """New token ids of an answer."""
        if (talk := self._running.get(request)) is not None:
            talk.ids += ids
            talk.tokens += len(ids)

    def read(self, request: int, count: int, text: str | None) -> None:
        """New text of an answer, of so many tokens."""
        if (talk := self._running.get(request)) is not None:
            talk.texts.append(text or "")
            talk.tokens += count

    def finish(self, job: Job, now: int) -> Talk | None:
        """A turn is answered; its conversation where there is another one."""
        talk = self._running.pop(job.id, None)
        if talk is None:
            return None
        talk.answered(job)
        talk.free_at = now
        return talk if talk.goes_on else None

    def forget(self, job: Job) -> None:
        """A turn that was not answered: its conversation ends there."""
        if (talk := self._running.pop(job.id, None)) is not None:
            self.owed -= talk.turns - len(talk.history) - 1
