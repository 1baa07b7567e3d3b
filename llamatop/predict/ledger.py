"""What forwards of a model allocate, as it depends on requests and tokens: peaks without the model.

Each storage has a size that is a polynomial in both, as long as the code goes the same way, so that
the bytes of any shape are counted as the tracer counts them, to the byte. `logged` makes ledgers.
Knows neither torch nor models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from llamatop.predict.forward import Forward, Tally, Total, stepped
from llamatop.predict.traced import Peak, Shape

SMALL_BELOW = 2 * 2**20
"""As `passes.HEAP_BELOW`."""
PREFILL, FIRST_STEP, LATER_STEP = range(3)
"""Forwards: of a prompt; of the first token after it, whose caches still are the prompt's; and of
any later one."""
MARK = 0
"""Among events, where a part of a forward ends."""

Size = tuple[int, ...]
"""Factors of 1, n, n squared, and of the same times the requests; n: tokens. Where the caches of a
prompt have room for more tokens, two more: of those, and of them times the requests."""


class Way(msgspec.Struct, frozen=True, array_like=True):
    """One forward as it goes for some numbers of requests and tokens."""

    forward: int
    """One of PREFILL, FIRST_STEP, LATER_STEP."""
    alone: bool
    """For one request; else for two and more."""
    least: int
    most: int | None
    """Tokens: of the prompt, or of the context before a step. None: any number."""
    sizes: tuple[Size, ...]
    """Sizes that occur."""
    begun: tuple[int, ...]
    """Storages that are there when it begins, by their place in `sizes`."""
    events: tuple[int, ...]
    """A positive number n: a storage of `sizes[n - 1]` is made; a negative: the storage that was
    made as the nth, those there before included, is gone; or MARK."""
    given: Size
    """What the last layer is given."""
    before: tuple[tuple[Size, ...], ...] = ()
    """Of a step: each layer's storages in the caches that it finds."""
    chosen: tuple[Size, ...] = ()
    """Of a step: storages that are held since the last token was chosen."""

    def serves(self, forward: int, batch: int, tokens: int) -> bool:
        """Whether it is the way of such a forward."""
        return (
            self.forward == forward
            and self.alone == (batch == 1)
            and self.least <= tokens <= (self.most or tokens)
        )

    def totals(
        self, shown: Sequence[int], rounding: int, batch: int, tokens: int, room: int
    ) -> list[Total]:
        """What it holds: all blocks, and the small ones. `room`: for so many tokens more a prompt's
        caches are allocated, where they are at once."""
        sizes = [bytes_of(size, batch, tokens, room) for size in self.sizes]
        rounded = [-(-size // rounding) * rounding for size in sizes]
        tallies = (Tally(), Tally(SMALL_BELOW))
        walked = [self._walked(tally, rounded, batch, tokens) for tally in tallies]
        if self.forward == PREFILL:
            return [forward.whole(shown) for forward in walked]
        before = [[bytes_of(size, batch, tokens) for size in layer] for layer in self.before]
        chosen = [bytes_of(size, batch, tokens) for size in self.chosen]
        return [stepped(forward, shown, before, chosen) for forward in walked]

    def _walked(self, tally: Tally, sizes: list[int], batch: int, tokens: int) -> Forward:
        made = [sizes[n] for n in self.begun]
        for size in made:
            tally.add(size)
        forward = Forward(tally)
        parts = self._parts(forward, bytes_of(self.given, batch, tokens))
        for event in self.events:
            if event > 0:
                made.append(sizes[event - 1])
                tally.add(made[-1])
            elif event < 0:
                tally.add(-made[-event - 1])
            else:
                next(parts)
        return forward

    def _parts(self, forward: Forward, given: int) -> Iterator[None]:
        """What each MARK is: a layer begins, the last one ends, tokens are chosen, the end."""
        layers = self.events.count(MARK) - 3
        ends = (*[forward.enter] * layers, lambda: forward.leave(given), forward.enter, forward.end)
        for end in ends:
            end()
            yield


class Ledger(msgspec.Struct, frozen=True, array_like=True):
    """All ways of a model in one dtype on one kind of device."""

    rounding: int
    """The allocator hands out multiples of so many bytes."""
    shown: tuple[int, ...]
    """For each layer of the model the one here that speaks for it."""
    ways: tuple[Way, ...]

    def phases(self, shape: Shape) -> list[list[Total]]:
        """Of prefill, and of the last step where there is one: all blocks, and the small ones.

        Raises LookupError where no way is known of it.
        """
        batch, prompt, generated = shape
        found = [self._totals(PREFILL, batch, prompt, generated - 1)]
        if generated > 1:
            step = FIRST_STEP if generated == 2 else LATER_STEP
            found.append(self._totals(step, batch, prompt + generated - 2))
        return found

    def peak(self, shape: Shape) -> Peak:
        """The peaks of generating that shape."""
        return peak_of(shape, self.phases(shape))

    def _totals(self, forward: int, batch: int, tokens: int, room: int = 0) -> list[Total]:
        way = next((one for one in self.ways if one.serves(forward, batch, tokens)), None)
        if way is None:
            raise LookupError(f"no way is known of {batch} requests of {tokens} tokens")
        return way.totals(self.shown, self.rounding, batch, tokens, room)


def peak_of(shape: Shape, phases: Sequence[Sequence[Total]]) -> Peak:
    """The most of all phases."""
    most = max(everything for everything, _ in phases)
    heap = max(small for _, small in phases)
    return Peak(shape, most.peak, most.cache, most.logits, heap.peak, most.sampling)


def bytes_of(size: Size, batch: int, tokens: int, room: int = 0) -> int:
    """Of one storage."""
    a, b, c, d, e, f = size[:6]
    more, each = size[6:] or (0, 0)
    found = a + tokens * (b + tokens * c) + batch * (d + tokens * (e + tokens * f))
    return found + room * (more + batch * each)
