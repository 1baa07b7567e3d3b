"""Events of a long recording, held as columns: a few bytes for an emission, not an object.

To whoever plays it a `Blocks` is a sequence of events like any other, each made when it is asked
for; a session folds it without making the emissions at all. Knows no file.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate, chain, islice, takewhile
from typing import Any, overload

from llamatop.events.kinds import EngineLost, Event, RunStarted, Tick, TokensEmitted
from llamatop.events.sanitize import clean_event
from llamatop.session.reducer import Session

TICK, EMISSION, OTHER = 0, 1, 2
"""What a row of a block is."""


class Texts:
    """Many short texts, or None in their place, as one long text."""

    def __init__(self, texts: Iterable[str | None]) -> None:
        kept = list(texts)
        self._all = "".join(filter(None, kept))
        self._ends = array("q", accumulate(len(text or "") for text in kept))
        self._missing = {place for place, text in enumerate(kept) if text is None}

    def moved(self, order: Any) -> Texts:
        """As those of a block that was moved: texts stay in order, what has none goes."""
        import numpy as np  # noqa: PLC0415  (only where it is needed)

        moved = copy(self)
        ends = np.frombuffer(self._ends, np.int64)
        sizes = np.diff(ends, prepend=0)[order]
        moved._ends = array("q", np.cumsum(sizes).tobytes())
        missing = np.zeros(len(sizes), bool)
        missing[list(self._missing)] = True
        moved._missing = set(np.flatnonzero(missing[order]).tolist())
        return moved

    def __getitem__(self, place: int) -> str | None:
        """The text at a place."""
        if place in self._missing:
            return None
        return self._all[self._ends[place - 1] if place else 0 : self._ends[place]]


class Block(Sequence[Event]):
    """Some events in a row.

    `kinds`, `times` (ns), `requests` and `counts` have a value for each event, 0 in the latter
    two for what is no emission; `others` are the events that are neither emissions nor ticks, by
    their place. `texts` are those of the emissions; None: no event has one.
    """

    __slots__ = ("_places", "counts", "kinds", "others", "requests", "texts", "times")

    def __init__(
        self, kinds: bytes, *, times: array[int], requests: array[int], counts: array[int],
        others: Mapping[int, Event], texts: Texts | None = None,
    ) -> None:  # fmt: skip
        self.kinds = kinds
        self.times = times
        self.requests = requests
        self.counts = counts
        self.others = others
        self._places = list(others)
        self.texts = texts

    def __len__(self) -> int:
        """How many events."""
        return len(self.kinds)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> list[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | list[Event]:
        """The event at a place, or those of a slice."""
        if isinstance(place, slice):
            return [self._at(one) for one in range(*place.indices(len(self)))]
        return self._at(range(len(self))[place])

    def _at(self, place: int) -> Event:
        kind = self.kinds[place]
        if kind == EMISSION:
            text = None if self.texts is None else self.texts[place]
            return TokensEmitted(self.times[place], self.requests[place], self.counts[place], text)
        return self.others[place] if kind == OTHER else Tick(self.times[place])

    def fold_into(self, session: Session, start: int = 0, end: int | None = None) -> None:
        """What applying each event from `start` to `end` does, cleaned."""
        first, last, _ = slice(start, end).indices(len(self))
        for place in takewhile(lambda place: place < last, self._from(first)):
            if isinstance(self.others[place], _FOR_ALL):
                self._fold(session, first, place)
                session.apply(clean_event(self.others[place]))
                first = place + 1
        self._fold(session, first, last)

    def _fold(self, session: Session, start: int, end: int) -> None:
        """Fold a stretch in which emissions matter to no event but those of their request."""
        if start >= end:
            return
        from llamatop.session.emissions import Emissions  # noqa: PLC0415  (numpy: only where it is needed)

        emissions = Emissions(
            self.times, self.requests, self.counts, range(start, end),
            text=None if self.texts is None else self.texts.__getitem__,
        )  # fmt: skip
        for place in takewhile(lambda place: place < end, self._from(start)):
            event = self.others[place]
            if (request := getattr(event, "request", None)) is not None:
                emissions.fold_into(session, request, place)
            session.apply(clean_event(event))
        for request in emissions.requests:
            emissions.fold_into(session, request, end)
        emissions.count_into(session)
        session.apply(Tick(emissions.latest))

    def only(self, places: Sequence[int]) -> Block:
        """A block of the events at some places, in their order."""
        texts = self.texts
        return Block(
            bytes(self.kinds[place] for place in places),
            times=array("q", (self.times[place] for place in places)),
            requests=array("i", (self.requests[place] for place in places)),
            counts=array("i", (self.counts[place] for place in places)),
            others={
                to: self.others[place] for to, place in enumerate(places) if place in self.others
            },
            texts=None if texts is None else Texts(texts[place] for place in places),
        )

    def moved(self, order: Any) -> Block:
        """A block of the same events in another order (their places, a numpy array), in which only
        ticks have changed theirs among the others."""
        import numpy as np  # noqa: PLC0415  (only where it is needed)

        to = np.empty(len(order), np.int64)
        to[order] = np.arange(len(order))
        columns = ((self.times, np.int64), (self.requests, np.int32), (self.counts, np.int32))
        times, requests, counts = (
            array(held.typecode, np.frombuffer(held, kind)[order].tobytes())
            for held, kind in columns
        )
        return Block(
            np.frombuffer(self.kinds, np.uint8)[order].tobytes(),
            times=times,
            requests=requests,
            counts=counts,
            others={int(to[place]): event for place, event in self.others.items()},
            texts=None if self.texts is None else self.texts.moved(order),
        )

    def _from(self, start: int) -> Iterator[int]:
        """Places of `others` from `start` on."""
        return islice(self._places, bisect_left(self._places, start), None)


_FOR_ALL = (RunStarted, EngineLost)
"""Events to which every request's emissions matter."""


class Blocks(Sequence[Event]):
    """All events of a recording, in order."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = list(blocks)
        self._starts = list(accumulate(map(len, self._blocks), initial=0))

    def append(self, block: Block) -> None:
        """Another one at the end; who reads in another thread sees it whole or not at all."""
        self._blocks.append(block)
        self._starts.append(self._starts[-1] + len(block))

    def __len__(self) -> int:
        """How many events."""
        return self._starts[-1]

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> list[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | list[Event]:
        """The event at a place, or those of a slice."""
        if isinstance(place, int):
            at = range(len(self))[place]
            block = bisect_right(self._starts, at) - 1
            return self._blocks[block][at - self._starts[block]]
        start, end, step = place.indices(len(self))
        if step != 1:
            return [self[one] for one in range(start, end, step)]
        return [event for block, part in self._parts(start, end) for event in block[part]]

    def __iter__(self) -> Iterator[Event]:
        """Every event."""
        return chain.from_iterable(self._blocks)

    def __eq__(self, other: object) -> bool:
        """Whether a sequence has the same events."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @property
    def blocks(self) -> Sequence[Block]:
        """Their columns, one part after another."""
        return self._blocks

    @property
    def times(self) -> Iterator[int]:
        """When each event happened (ns)."""
        return chain.from_iterable(block.times for block in self._blocks)

    @property
    def rare(self) -> Iterator[Event]:
        """The events that are neither emissions nor ticks, in order."""
        return chain.from_iterable(block.others.values() for block in self._blocks)

    def fold_into(self, session: Session, start: int = 0, end: int | None = None) -> None:
        """What applying each event from `start` to `end` does, cleaned."""
        first, last, _ = slice(start, end).indices(len(self))
        for block, part in self._parts(first, last):
            block.fold_into(session, part.start, part.stop)

    def _parts(self, start: int, end: int) -> Iterator[tuple[Block, slice]]:
        """The blocks that hold the events from `start` to `end`, and which of theirs."""
        first = max(bisect_right(self._starts, start) - 1, 0)
        for block, begin in zip(self._blocks[first:], self._starts[first:], strict=False):
            if begin >= end:
                return
            yield block, slice(max(start - begin, 0), min(end - begin, len(block)))
