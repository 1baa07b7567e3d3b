"""What the requests of a level ask for, one by one. Draws lengths; starts and times nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llamatop.engines.base import GivenSize
from llamatop.settings.config import RunConfig


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens in and out of one request."""

    prompt_tokens: int
    """Of its own text and the beginning that it shares."""
    max_tokens: int
    given: int | None = None
    """Its prompt's place in the file of prompts; None: made up."""
    prefix: int | None = None
    """Which of the shared beginnings it has; None: none."""
    prefix_tokens: int = 0


def alike(prompt_tokens: int, max_tokens: int) -> Callable[[int], Size]:
    """The same size at every place."""
    return lambda _: Size(prompt_tokens, max_tokens)


class Sizes:
    """By a request's place in its level alone, so that levels ask for the same things."""

    def __init__(self, config: RunConfig, given: Sequence[GivenSize] = ()) -> None:
        """`given` are the sizes of the prompts of a file, in its order."""
        self._config = config
        self._given = given
        self._order = list(range(len(given)))
        if config.replayed:
            self._order.sort(key=self._time)
        else:
            random.Random(f"{config.seed} prompts").shuffle(self._order)

    @property
    def times(self) -> list[float]:
        """When the prompts of a file arrived that is replayed, in their order (s)."""
        return [self._time(place) for place in self._order] if self._config.replayed else []

    def _time(self, place: int) -> float:
        return self._given[place].at or 0.0

    def turns(self, place: int) -> int:
        """Requests of the conversation at that place."""
        most = self._config.turns or 1
        if not self._order:
            return most
        return min(1 + len(self._given[self._order[place % len(self._order)]].later), most)

    def turn(self, place: int, turn: int) -> Size:
        """Of a turn of the conversation at that place, from 0: what it adds to what was before."""
        if not turn:
            return self.at(place)
        if self._order:
            which = self._order[place % len(self._order)]
            given = self._given[which]
            return Size(given.later[turn - 1], given.max_tokens or self._output(place), which)
        config, drawn = self._config, self._config.prompt_lengths
        own = drawn.draw(config.seed, f"turn {turn}", place) if drawn else config.prompt_toks
        return Size(own, self._output(place))

    def at(self, place: int) -> Size:
        """Of the measured request at that place; a file of prompts begins again at its end."""
        config = self._config
        if not self._order:
            drawn = config.prompt_lengths
            prompt = drawn.draw(config.seed, "prompt", place) if drawn else config.prompt_toks
            prefix = self._prefix(f"{config.seed} prefix {place}")
            shared = config.prefix_toks
            return Size(prompt + shared, self._output(place), None, prefix, shared)
        which = self._order[place % len(self._order)]
        given = self._given[which]
        return Size(given.prompt_tokens, given.max_tokens or self._output(place), which)

    def warmup(self, place: int, most: int) -> Size:
        """As long a prompt as the measured request's, of other text; at most so many tokens out.

        It has one of the shared beginnings, drawn anew: where there are few they are then known.
        """
        size = self.at(place)
        prefix = self._prefix(f"{self._config.seed} warm-up prefix {place}")
        most = min(size.max_tokens, most)
        return Size(size.prompt_tokens, most, None, prefix, size.prefix_tokens)

    def _prefix(self, seed: str) -> int | None:
        if not self._config.prefix_toks:
            return None
        return random.Random(seed).randrange(self._config.prefixes)

    def _output(self, place: int) -> int:
        drawn = self._config.gen_lengths
        return drawn.draw(self._config.seed, "output", place) if drawn else self._config.gen_toks
