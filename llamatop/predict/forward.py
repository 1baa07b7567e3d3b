"""What one forward of a model's first layers held, and what all of its layers would hold.

Pure bookkeeping over a tally of bytes; knows no tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple


class Step(NamedTuple):
    """One operation: how long it takes, in any unit, and the bytes held at its end."""

    work: float
    held: int


@dataclass(slots=True)
class Tally:
    """Bytes of the storages smaller than `below`: alive now, and most since `mark`."""

    below: float = inf
    live: int = 0
    peak: int = 0
    path: list[Step] = field(default_factory=list)
    """Each operation since `mark`."""

    def mark(self) -> int:
        """Start the peak anew; the bytes alive now."""
        self.peak = self.live
        self.path = []
        return self.live

    def step(self, work: float) -> None:
        """An operation has ended that took so long."""
        self.path.append(Step(work, self.live))

    def add(self, size: int, which: int = 0) -> None:
        """A storage of so many bytes came to be, or (negative) is gone; `which` numbers them, for
        those who tell one from another."""
        if abs(size) < self.below:
            self.live += size
            if self.live > self.peak:
                self.peak = self.live


class Total(NamedTuple):
    """A peak in bytes, and of that caches, scores, and what choosing from them takes."""

    peak: int
    cache: int
    logits: int = 0
    sampling: int = 0


@dataclass(slots=True)
class Held:
    """Bytes while one part of a forward ran."""

    before: int
    peak: int
    after: int = 0
    path: list[Step] = field(default_factory=list)

    @property
    def transient(self) -> int:
        """On top of what was held when it began."""
        return self.peak - self.before


@dataclass(slots=True)
class Forward:
    """Bytes held ahead of the layers, in each of them, in the head, and while tokens are chosen."""

    tally: Tally
    ahead: int = 0
    """The peak before the first layer."""
    way: list[Step] = field(default_factory=list)
    """The operations before the first layer."""
    parts: list[Held] = field(default_factory=list)
    """Each layer, the head that makes scores, and at last what chooses from them."""
    given: int = 0
    """To the last layer."""

    def __post_init__(self) -> None:
        """Count from now."""
        self.tally.mark()

    def enter(self) -> None:
        """The next part begins."""
        peak, path, live = self.tally.peak, self.tally.path, self.tally.mark()
        if self.parts:
            self.parts[-1].peak, self.parts[-1].after, self.parts[-1].path = peak, live, path
        else:
            self.ahead, self.way = peak, path
        self.parts.append(Held(live, live))

    def leave(self, given: int) -> None:
        """The last layer ends; what was `given` to it is let go of, unless it was the first."""
        self.enter()
        self.given = given
        if len(self.parts) > 2 and given < self.tally.below:
            self.parts[-1].before -= given
            self.parts[-2].after -= given

    def end(self) -> None:
        """The forward has ended."""
        last = self.parts[-1]
        last.peak, last.path = self.tally.peak, self.tally.path
        last.after = self.tally.mark()

    def path(self, shown: Sequence[int]) -> list[Step]:
        """The way through a model whose layers are like those `shown`, with no caches before."""
        path, live = list(self.way), self.parts[0].before
        for part in (*(self.parts[i] for i in shown), *self.parts[-2:]):
            path += [Step(work, live + held - part.before) for work, held in part.path]
            live += part.after - part.before
        return path

    def whole(self, shown: Sequence[int], held: Sequence[int] = ()) -> Total:
        """The peak of a model whose layers are like those `shown` here, one number for each.

        `held` is what the caches of the layers here held before, if anything.
        """
        head, choosing = self.parts[-2:]
        cache = sum(held[i] for i in shown) if held else 0
        others = cache - sum(held)
        live = self.parts[0].before + others
        most = Total(self.ahead + others, cache)
        for part in (self.parts[i] for i in shown):
            most = max(most, Total(live + part.transient, cache))
            live += part.after - part.before
            cache += part.after - part.before
        scores = head.after - head.before
        return max(
            most,
            Total(live + head.transient, cache, head.transient),
            Total(live + scores + choosing.transient, cache, scores, choosing.transient),
        )


def stepped(
    forward: Forward, shown: Sequence[int], before: Sequence[Sequence[int]], chosen: Sequence[int]
) -> Total:
    """The peak of a step that found caches: for each layer here the bytes of their storages, and
    those held since the last token was `chosen`."""
    below = forward.tally.below
    held = [sum(size for size in sizes if size < below) for sizes in before]
    found = forward.whole(shown, held)
    return found._replace(sampling=found.sampling + sum(n for n in chosen if n < below))
