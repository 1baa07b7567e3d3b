"""The verdict: does it fit, how many requests would, and what else would help. Pure logic.

Knows peaks as a function of the requests in flight and an amount of memory; not where either
comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from llamatop.errors import InputError
from llamatop.settings.config import MAX_CONCURRENCY

Verdict = Literal["fits", "tight", "does not fit"]

BAND = 0.03
"""The share by which a prediction, without what libraries take, may be too low: of the slices in
docs/prediction.md by 2.7 %, of models of a few MB by chance more; see `residuals` for what was
learnt."""
QUANTIZED_BAND = 0.13
"""The same where matrices are quantised: in int8 the peaks of two models were up to 8 % above, and
those of one model up to 13 %, as they differ from run to run."""

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def verdict(peak_bytes: float, available_bytes: float, sure_bytes: float) -> Verdict:
    """`fits` where `sure_bytes` do, which is the peak if it is foretold too low."""
    if peak_bytes > available_bytes:
        return "does not fit"
    return "fits" if sure_bytes <= available_bytes else "tight"


def largest(peak: Callable[[int], float], limit: float, most: int = MAX_CONCURRENCY) -> int:
    """The largest number up to `most` whose peak is within the limit; 0 if none is.

    `peak` must not fall.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if peak(middle) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def parse_size(text: str) -> int:
    """Bytes of `24GB`, `512MiB`, `1.5T`; InputError if it is no amount of memory."""
    match = _SIZE.fullmatch(text)
    unit = match[2].lower() if match else ""
    factor = _BINARY[unit] if match and match[3] and unit else _UNITS[unit]
    amount = float(match[1]) * factor if match else 0.0
    if not 1 <= amount < 2**63:
        raise InputError(f"--memory {text}: give an amount such as 24GB or 512MiB")
    return round(amount)
