"""Student's t distribution, as far as intervals need it. Knows no measurement."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

_FURTHEST = 1e6


@cache
def t_quantile(tail: float, freedom: int) -> float:
    """The t that both tails together lie beyond with probability `tail`; 1 degree at least."""
    if freedom > 300:
        return NormalDist().inv_cdf(1 - tail / 2)
    low, high = 0.0, _FURTHEST
    for _ in range(100):
        middle = (low + high) / 2
        if beyond(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return high


def beyond(t: float, freedom: int) -> float:
    """The probability that |T| > t, for whole degrees of freedom (Abramowitz and Stegun 26.7)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    inside = math.sin(angle) * total
    if odd:
        inside = (angle + inside) * 2 / math.pi
    return max(1 - inside, 0.0)
