"""The emissions of a block by their request, so that a session takes each request's at once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from llamatop.events.sanitize import clean
from llamatop.session.known import BIN
from llamatop.session.reducer import Session


class Emissions:
    """The emissions in a part of a block's columns, by their request.

    `times` are int64, `requests` and `counts` int32; `text` gives that of the emission at a place.
    """

    def __init__(
        self, times: array[int], requests: array[int], counts: array[int], part: range,
        *, text: Callable[[int], str | None] | None,
    ) -> None:  # fmt: skip
        within = slice(part.start, part.stop)
        some = np.frombuffer(counts, np.int32)[within] > 0  # others have 0
        places = np.flatnonzero(some) + part.start
        all_times = np.frombuffer(times, np.int64)
        self._as_told = all_times[places], np.frombuffer(counts, np.int32)[places]
        ids = np.frombuffer(requests, np.int32)[places]
        self._order = np.argsort(ids, kind="stable")
        places, ids = places[self._order], ids[self._order]
        own = all_times[places]
        begins = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)).tolist()
        back = np.flatnonzero((np.diff(own) < 0) & (np.diff(ids) == 0))
        self._places = array("q", places.astype(np.int64).tobytes())
        self._times = array("q", own.tobytes())
        self._counts = array("i", np.frombuffer(counts, np.int32)[places].tobytes())
        self._text_at = text
        stretches = zip(begins, [*begins, len(places)][1:], strict=False)
        self._left = dict(zip(ids[begins].tolist(), stretches, strict=True))
        """Where each request's lie that are not yet folded."""
        self._disordered = set(ids[back].tolist())
        """The requests with any that is earlier than the one before it."""
        self._taken = np.zeros(len(places), np.bool_)
        """Which of them the session took."""
        self.latest = int(all_times[within].max(initial=0))
        """The latest time in the part (ns), of whatever kind of event."""

    @property
    def requests(self) -> list[int]:
        """All that have any left."""
        return list(self._left)

    def fold_into(self, session: Session, request: int, until: int) -> None:
        """Fold those of a request that come before the place `until`."""
        first, last = self._left.get(request, (0, 0))
        cut = bisect_left(self._places, until, first, last)
        if cut > first:
            if request not in self._disordered:
                self._give(session, request, slice(first, cut))
            else:  # each that is out of its turn counts for nothing
                for place in range(first, cut):
                    self._give(session, request, slice(place, place + 1))
            self._left[request] = cut, last

    def _give(self, session: Session, request: int, part: slice) -> None:
        self._taken[part] = session.emit_all(
            request, self._times[part], self._counts[part], self._text(part)
        )

    def count_into(self, session: Session) -> None:
        """Count the tokens that the session took."""
        times, counts = self._as_told
        counted = np.zeros(len(times), np.bool_)
        counted[self._order] = self._taken
        counted &= times >= session.joined
        places = np.maximum(times[counted], 0) // BIN  # told in time: those of a bin stand together
        begins = np.flatnonzero(np.diff(places, prepend=-1))
        sums = np.add.reduceat(counts[counted], begins, dtype=np.int64)
        for place, count in zip(places[begins].tolist(), sums.tolist(), strict=True):
            session.count_bin(place, count)

    def _text(self, part: slice) -> str | None:
        if self._text_at is None:
            return None
        return clean("".join(self._text_at(place) or "" for place in self._places[part]))
