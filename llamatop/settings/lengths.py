"""How many tokens a request takes in or gives out: always the same, or drawn from a distribution.

A draw depends on the seed and the request's place in its level alone, so that every level of a
sweep, at whatever concurrency, asks for the same lengths. Knows no request and no model.
"""

from __future__ import annotations

import math
import random
from typing import Literal

import msgspec

from llamatop.errors import InputError

MOST_TOKENS = 2**31
TAIL = 3
"""Standard deviations at which a distribution is cut: the longest must be known beforehand."""

HOW = "give a number, a range as 64:512, normal:MEAN,SD or lognormal:MEAN,SD"


class Lengths(msgspec.Struct, frozen=True):
    """A distribution of lengths in tokens."""

    shape: Literal["uniform", "normal", "lognormal"]
    first: float
    """The shortest of a uniform one, else the mean."""
    second: float
    """The longest of a uniform one, else the standard deviation."""

    @property
    def longest(self) -> int:
        """No draw is longer."""
        return self._bounds()[1]

    def draw(self, seed: int, what: str, place: int) -> int:
        """The length of `what` of the request at that place of its level."""
        rng = random.Random(f"{seed} {what} {place}")
        low, high = self._bounds()
        if self.shape == "uniform":
            return rng.randint(low, high)
        value = rng.gauss(*self._gauss())
        return min(max(round(self._scaled(value)), low), high)

    def _bounds(self) -> tuple[int, int]:
        if self.shape == "uniform":
            return int(self.first), int(self.second)
        mean, deviation = self._gauss()
        low, high = (self._scaled(mean + sign * TAIL * deviation) for sign in (-1, 1))
        return max(round(low), 1), max(round(high), 1)

    def _gauss(self) -> tuple[float, float]:
        """Mean and standard deviation of what is drawn: the length, or its logarithm."""
        if self.shape == "normal":
            return self.first, self.second
        variance = math.log1p((self.second / self.first) ** 2)
        return math.log(self.first) - variance / 2, math.sqrt(variance)

    def _scaled(self, value: float) -> float:
        return math.exp(value) if self.shape == "lognormal" else value

    def __str__(self) -> str:
        """As `parse_lengths` reads it."""
        if self.shape == "uniform":
            if self.first == self.second:
                return f"{self.first:.0f}"
            return f"{self.first:.0f}:{self.second:.0f}"
        return f"{self.shape}:{self.first:.12g},{self.second:.12g}"


def parse_lengths(option: str, text: str) -> tuple[int, Lengths | None]:
    """The longest, and what they are drawn from (None: all alike), as given to `option`.

    Raises InputError where that cannot be read.
    """
    shape, colon, rest = text.strip().partition(":")
    try:
        if not colon:
            return in_tokens(option, int(shape)), None
        if shape in ("normal", "lognormal"):
            mean, deviation = map(float, rest.split(","))
            lengths = Lengths("normal" if shape == "normal" else "lognormal", mean, deviation)
        else:
            lengths = Lengths("uniform", int(shape), int(rest))
    except ValueError:
        raise InputError(f"{option} {text}: {HOW}") from None
    check_lengths(option, lengths)
    return lengths.longest, lengths


def in_tokens(option: str, value: int) -> int:
    """The same number, or InputError where no request can have that length."""
    if not 1 <= value <= MOST_TOKENS:
        raise InputError(f"{option} {value}: must be between 1 and {MOST_TOKENS}")
    return value


def check_lengths(option: str, lengths: Lengths) -> None:
    """Raise InputError where no request can have such lengths."""
    first, second = lengths.first, lengths.second
    if lengths.shape == "uniform":
        if not 1 <= first <= second <= MOST_TOKENS:
            raise InputError(
                f"{option} {lengths}: a range goes from at least 1 to as much or more, "
                f"{MOST_TOKENS} at most"
            )
    elif not (1 <= first <= MOST_TOKENS and 0 < second <= MOST_TOKENS):
        raise InputError(
            f"{option} {lengths}: the mean must be at least 1 and the standard deviation more "
            f"than 0, both at most {MOST_TOKENS}"
        )
