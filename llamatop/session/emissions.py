"""The emissions of a block by their request, so that a session takes each request's at once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from llamatop.events.sanitize import clean
from llamatop.session.reducer import BIN, Session


class Emissions:
    """The emissions in a part of a block's columns, by their request.

    `times` are int64, `requests` and `counts` int32; `text` gives that of the emission at a place.
    """

    def __init__(
        self, times: array[int], requests: array[int], counts: array[int], part: range,
        *, text: Callable[[int], str | None] | None,
    ) -> None:  # fmt: skip
        some = np.frombuffer(counts, np.int32)[part.start : part.stop] > 0  # others have 0
        places = np.flatnonzero(some) + part.start
        ids = np.frombuffer(requests, np.int32)[places]
        order = np.argsort(ids, kind="stable")
        places, ids = places[order], ids[order]
        begins = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)).tolist()
        self._places = array("q", places.astype(np.int64).tobytes())
        self._times = array("q", np.frombuffer(times, np.int64)[places].tobytes())
        self._counts = array("i", np.frombuffer(counts, np.int32)[places].tobytes())
        self._text_at = text
        stretches = zip(begins, [*begins, len(places)][1:], strict=False)
        self._left = dict(zip(ids[begins].tolist(), stretches, strict=True))
        """Where each request's lie that are not yet folded."""
        self._taken = np.zeros(len(places), np.bool_)
        """Which of them the session took."""

    @property
    def requests(self) -> list[int]:
        """All that have any left."""
        return list(self._left)

    def fold_into(self, session: Session, request: int, until: int) -> None:
        """Fold those of a request that come before the place `until`."""
        first, last = self._left.get(request, (0, 0))
        cut = bisect_left(self._places, until, first, last)
        if cut > first:
            times = self._times[first:cut]
            if times == array("q", sorted(times)):
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
        times = np.frombuffer(self._times, np.int64)
        counted = self._taken & (times >= session.joined)
        places, where = np.unique(np.maximum(times[counted], 0) // BIN, return_inverse=True)
        counts = np.zeros(len(places), np.int64)
        np.add.at(counts, where, np.frombuffer(self._counts, np.int32)[counted])
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            session.count_bin(place, count)

    def _text(self, part: slice) -> str | None:
        if self._text_at is None:
            return None
        return clean("".join(self._text_at(place) or "" for place in self._places[part]))
