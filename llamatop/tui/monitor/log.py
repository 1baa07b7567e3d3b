"""What happened, as a list of stories: the session's notable events, failures of one kind told
together, and what only samples show (see `contention`). Bounded, however long a run is.

Folded on as events come; knows nothing of how a story is worded or drawn.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from operator import attrgetter

from llamatop.events.kinds import (
    DeviceSampled,
    Event,
    HostFacts,
    HostSampled,
    RequestFailed,
    RequestFinished,
    RequestSent,
)
from llamatop.figures.contention import Episode, Neighbours, Slowdown
from llamatop.session.reducer import Session

KEPT = 2_000
"""Stories that are remembered at most: the newest."""

OfRequest = RequestFailed | RequestFinished | RequestSent
"""What is told of single requests: that they failed, ended short, or were sent again."""

What = Event | Episode | HostFacts


@dataclass(slots=True)
class Story:
    """Something that happened, `count` times between two times (ns)."""

    time: int
    what: What
    """The newest of those times."""
    count: int = 1
    last: int = 0
    first_request: int = 0


class Log:
    """The stories of one session, oldest first."""

    def __init__(self) -> None:
        self.stories: list[Story] = []
        self.dropped = 0
        """Older stories that are remembered no more."""
        self.untold = 0
        """Notable events that the session had forgotten before they came here."""
        self.slowdowns: dict[int, Slowdown] = {}
        """By device."""
        self.neighbours = Neighbours()
        self._begun = False
        self._told = 0
        self._host_seen = -1
        self._device_seen: dict[int, int] = {}
        """Times (ns) of the newest samples that were read."""
        self._recent: dict[object, Story] = {}
        """Stories that another of their kind joins: those since the last that stands alone."""

    def read(self, session: Session) -> None:
        """Fold in what came since the last call."""
        if not self._begun and session.started is not None:
            self._begun = True
            self.stories.insert(0, Story(0, session.started.host))
        for event in self._fresh(session):
            self._fold(event, session)
        if len(self.stories) > KEPT:
            self.dropped += len(self.stories) - KEPT // 2
            del self.stories[: -KEPT // 2]

    def _fresh(self, session: Session) -> Sequence[Event]:
        """New events and samples, in order of time."""
        new = session.untold + len(session.notable) - self._told
        self._told += new
        self.untold += max(new - len(session.notable), 0)
        streams: list[Sequence[Event]] = [session.notable[-new:] if new else ()]
        streams.append(_since(session.host, self._host_seen))
        self._host_seen = session.host[-1].time if session.host else -1
        for device, samples in session.devices.items():
            streams.append(_since(samples, self._device_seen.get(device, -1)))
            self._device_seen[device] = samples[-1].time
        return list(merge(*streams, key=attrgetter("time")))

    def _fold(self, event: Event, session: Session) -> None:
        match event:
            case HostSampled():
                model = session.model if _serving(session, event.time) else None
                if episode := self.neighbours.see(event, model):
                    self._join("others", episode)
            case DeviceSampled():
                slowdown = self.slowdowns.setdefault(event.device, Slowdown())
                if episode := slowdown.see(event):
                    self._slow(episode)
            case RequestFailed():
                self._join(kind_of(event.error), event).last = event.time
            case RequestFinished() | RequestSent():
                self._join(type(event), event).last = event.time
            case _:
                self._recent.clear()
                self.stories.append(Story(event.time, event))

    def _join(self, kind: object, what: OfRequest | Episode) -> Story:
        """One more of a kind."""
        story = self._recent.get(kind)
        if story is not None:
            story.count += 1
            story.what = what
            return story
        request = 0 if isinstance(what, Episode) else what.request
        story = self._recent[kind] = Story(what.time, what, first_request=request)
        self.stories.append(story)
        return story

    def _slow(self, episode: Episode) -> None:
        """A device's slowdown: its end, or a further reason, belongs to its beginning."""
        story = self._recent.get(episode.device)
        if story is None:
            self._join(episode.device, episode)
            return
        over = isinstance(story.what, Episode) and story.what.seconds is not None
        story.count += over and episode.seconds is None
        story.what = episode


def _since(samples: Sequence[Event], time: int) -> Sequence[Event]:
    """Those after a time (ns)."""
    return samples[bisect_right(samples, time, key=attrgetter("time")) :]


def _serving(session: Session, time: int) -> bool:
    """Whether a level had begun: what prepares a run is no neighbour."""
    first = next(iter(session.levels.values()), None)
    return first is not None and time > first.started


@lru_cache(maxsize=256)
def kind_of(error: str) -> str:
    """An error without its numbers: two that differ in them alone are of one kind."""
    return re.sub(r"\d+", "#", error)
