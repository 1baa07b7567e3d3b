"""Makes ledgers: runs a model's forwards for a few shapes and finds what each storage's size is.

A way is believed only where shapes that it was not made of went the same and took the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice, pairwise, product
from typing import Any, NamedTuple

import msgspec
import torch

from llamatop.predict import caches
from llamatop.predict.forward import Forward, Tally
from llamatop.predict.ledger import (
    FIRST_STEP,
    LATER_STEP,
    MARK,
    PREFILL,
    Ledger,
    Size,
    Way,
    bytes_of,
)
from llamatop.predict.passes import Tracer, quiet_masks
from llamatop.predict.storages import LiveStorages
from llamatop.predict.traced import Shape

FURTHEST = 262_144
"""Tokens beyond which no shape is tried."""
SEVERAL = (2, 5)
"""Requests of which ways for several are made."""
OTHERS = (3, 64)
"""Requests with which they are tried."""
ROOM = 7
"""Tokens for which a prompt's caches have room beyond its own, where that is looked at."""

Place = tuple[int, int, int]
"""Requests, tokens, and room for more of them."""


class Walk(NamedTuple):
    """What one forward did: the same for all that go the same way, and the sizes that differ."""

    form: tuple[Any, ...]
    """How many storages were there before, the events, and how many caches hold each layer's."""
    sizes: tuple[int, ...]
    """Of storages there before, of those made, what the last layer was given, of caches that it
    found layer by layer, of what was held since the last token was chosen."""


class Log(Tally):
    """Storages one by one."""

    def __init__(self) -> None:
        """Nothing has happened."""
        super().__init__()
        self._alive: dict[int, int] = {}
        self._waits = True
        self._begun: list[int] = []
        self._number: dict[int, int] = {}
        self._made: list[int] = []
        self._events: list[int] = []

    def begin(self) -> None:
        """The next forward is the one of interest; it begins with a mark."""
        self._waits = True

    def add(self, size: int, which: int = 0) -> None:
        """As a tally, and what it was."""
        super().add(size, which)
        if which in self._alive:
            del self._alive[which]
            self._events.append(-self._number[which])
        else:
            self._alive[which] = size
            self._made.append(size)
            self._number[which] = len(self._begun) + len(self._made)
            self._events.append(1)

    def mark(self) -> int:
        """As a tally, and where it was."""
        self._events.append(MARK)
        if self._waits:
            self._waits = False
            self._begun, self._made, self._events = list(self._alive.values()), [], []
            self._number = {which: n for n, which in enumerate(self._alive, 1)}
        return super().mark()

    def walk(
        self, forward: Forward, before: Sequence[Sequence[int]] = (), chosen: Sequence[int] = ()
    ) -> Walk:
        """What happened in the forward of interest, which has ended with a mark."""
        end = len(self._events) - self._events[::-1].index(MARK)
        events = tuple(self._events[:end])
        form = (len(self._begun), events, tuple(map(len, before)), len(chosen))
        held = (size for layer in before for size in layer)
        made = self._made[: events.count(1)]
        return Walk(form, (*self._begun, *made, forward.given, *held, *chosen))


class Logger(Tracer):
    """A tracer that tells storages one by one."""

    def ledger(self, context: int | None) -> Ledger:
        """All ways of the model. Raises ValueError where one is not found."""
        if self.most_tokens is not None:
            raise ValueError("it loops over tokens")
        windows = {caches.window_of(layer) or 0 for layer in self._kept} - {0}
        chunk = getattr(self._text, "attention_chunk_size", None)
        edges = sorted(windows | ({chunk} if chunk else set()))
        most = min(context or FURTHEST, FURTHEST) - 4
        ways: list[Way] = []
        for forward in (PREFILL, FIRST_STEP, LATER_STEP):
            for alone in (True, False):
                ways += self._ways(forward, alone, edges, most)
        return Ledger(self._rounding, tuple(self._excerpt.shown), tuple(ways))

    def _ways(self, forward: int, alone: bool, edges: Iterable[int], most: int) -> list[Way]:
        """From the fewest tokens on."""
        least = 2 if forward == LATER_STEP else 1
        singles = sorted({least, *(e + n for e in edges for n in (-1, 0, 1) if e + n < most)})
        found: list[Way] = []
        for low, high in pairwise([*singles, most + 1]):
            found.append(self._way(forward, alone, low, low))
            if high - low > 4:
                found.append(self._way(forward, alone, low + 1, high - 1))
            elif high - low > 1:
                found += [self._way(forward, alone, n, n) for n in range(low + 1, high)]
        found[-1] = msgspec.structs.replace(found[-1], most=None)
        return self._joined(found)

    def _joined(self, ways: Sequence[Way]) -> list[Way]:
        """The same, where single numbers of tokens are joined to what beside them says of them."""
        spans = [way for way in ways if way.least != way.most]
        singles = [way.least for way in ways if way.least == way.most]
        for tokens in [*singles[::-1], *singles]:  # from right to left, and back
            for n, span in enumerate(spans):
                most = None if span.most is None else span.most + 1
                beside = tokens in (span.least - 1, most)
                if beside and self._is_so(span, [tokens]):
                    least = min(span.least, tokens)
                    most = None if most is None else max(span.most or 0, tokens)
                    spans[n] = msgspec.structs.replace(span, least=least, most=most)
        left = [way for way in ways if way.least == way.most and not _within(way, spans)]
        return sorted((*spans, *left), key=lambda way: way.least)

    def _way(self, forward: int, alone: bool, low: int, high: int) -> Way:
        span = min(high, 8 * low + 4099) - low
        tokens = [low, low + span // 2, low + span] if span else [low]
        many = (1,) if alone else SEVERAL
        places = [(b, t, 0) for b in many for t in tokens]
        if forward == PREFILL:
            places += [(b, low, ROOM) for b in many]
        walks = {place: self.walk(forward, *place) for place in places}
        forms = {walk.form for walk in walks.values()}
        if len(forms) != 1:
            raise ValueError(f"not one way: {forward}, {many}, {tokens}")
        way = _assembled(forward, alone, low, high, walks)
        others = sorted({low + span // 3, low + span - span // 7, high})
        if not self._is_so(way, others):
            raise ValueError(f"not a polynomial: {forward}, {many}, {low} to {high}")
        return way

    def _is_so(self, way: Way, tokens: Iterable[int]) -> bool:
        many = (1,) if way.alone else OTHERS
        rooms = (0, 2 * ROOM) if way.forward == PREFILL else (0,)
        return all(
            told(way, *place) == self.walk(way.forward, *place)
            for place in product(many, tokens, rooms)
        )

    def walk(self, forward: int, batch: int, tokens: int, room: int = 0) -> Walk:
        """One forward; of so many tokens of prompt, or of context before it. `room`: for so many
        tokens more a prompt's caches are allocated, where they are at once."""
        if forward != LATER_STEP:
            shape = Shape(batch, tokens, 1 + room if forward == PREFILL else 2)
        else:
            shape = Shape(batch, max(tokens - 2, 1), min(tokens, 3) + 1)
        log = Log()
        self._sampling.forget()
        with quiet_masks(), self._mode, torch.no_grad(), LiveStorages(1, log):
            (done,), cache = self._watched(
                [log], self._cache(shape), batch, shape.prompt, shape.prompt
            )
            if forward == PREFILL:
                return log.walk(done)
            cache = self._grown_to(cache, shape)
            before = [caches.storage_sizes(layer) for layer in self._layers_of(cache)]
            chosen = self._sampling.held_sizes()
            log.begin()
            (done,), _ = self._stepped([log], cache, shape)
            return log.walk(done, before, chosen)


def told(way: Way, batch: int, tokens: int, room: int = 0) -> Walk:
    """What a way says of so many requests and tokens."""

    def size(factors: Size) -> int:
        return bytes_of(factors, batch, tokens, room)

    held = [one for layer in way.before for one in layer]
    begun = [way.sizes[n] for n in way.begun]
    made = [way.sizes[n - 1] for n in way.events if n > 0]
    form = (
        len(begun),
        tuple(min(event, 1) for event in way.events),
        tuple(map(len, way.before)),
        len(way.chosen),
    )
    return Walk(form, tuple(map(size, (*begun, *made, way.given, *held, *way.chosen))))


def _assembled(forward: int, alone: bool, low: int, high: int, walks: dict[Place, Walk]) -> Way:
    """The way of all those walks, which have one form. Raises ValueError where there is none."""
    places = sorted(walks)
    form = walks[places[0]].form
    rows = zip(*(walks[place].sizes for place in places), strict=True)
    sizes = iter([_size(dict(zip(places, row, strict=True))) for row in rows])
    there, events, layers, chosen = form
    begun = list(islice(sizes, there))
    made = list(islice(sizes, events.count(1)))
    given = next(sizes)
    before = tuple(tuple(islice(sizes, count)) for count in layers)
    table = {size: n for n, size in enumerate(dict.fromkeys((*begun, *made)))}
    following = iter(made)
    return Way(
        forward, alone, low, high,
        tuple(table),
        tuple(table[size] for size in begun),
        tuple(table[next(following)] + 1 if event == 1 else event for event in events),
        given, before, tuple(islice(sizes, chosen)),
    )  # fmt: skip


def _size(found: dict[Place, int]) -> Size:
    """The polynomial through sizes by requests, tokens and room."""
    plain = _plain_size({(b, t): size for (b, t, room), size in found.items() if not room})
    more = {
        b: Fraction(size - bytes_of(plain, b, t), room)
        for (b, t, room), size in found.items()
        if room
    }
    if not any(more.values()):
        return plain
    if len(more) == 1:
        return (*plain, *map(_whole, more.values()), 0)
    low, high = sorted(more)
    each = (more[high] - more[low]) / (high - low)
    return (*plain, _whole(more[low] - low * each), _whole(each))


def _plain_size(found: dict[tuple[int, int], int]) -> Size:
    """The same without room."""
    many = sorted({batch for batch, _ in found})
    rows = [_quadratic({t: size for (b, t), size in found.items() if b == batch}) for batch in many]
    if len(many) == 1:
        return (*rows[0], 0, 0, 0)
    low, high = many
    each = [Fraction(b - a, high - low) for a, b in zip(*rows, strict=True)]
    fixed = [a - low * b for a, b in zip(rows[0], each, strict=True)]
    return tuple(map(_whole, (*fixed, *each)))


def _quadratic(found: dict[int, int]) -> tuple[int, int, int]:
    """Factors of 1, n and n squared."""
    if len(found) == 1:
        return next(iter(found.values())), 0, 0
    (x, a), (y, b), (z, c) = sorted(found.items())
    first, second = Fraction(b - a, y - x), Fraction(c - b, z - y)
    square = (second - first) / (z - x)
    line = first - square * (x + y)
    return _whole(a - line * x - square * x * x), _whole(line), _whole(square)


def _whole(number: Fraction | int) -> int:
    if number != int(number):
        raise ValueError("no polynomial with whole factors")
    return int(number)


def _within(way: Way, spans: Iterable[Way]) -> bool:
    return any(span.least <= way.least <= (span.most or way.least) for span in spans)
