"""Numbers as people read them: fixed widths, units always there, `N/A` for the unknown."""

from __future__ import annotations

import math
import re

MINUS = "\u2212"
"""As wide as the plus."""

UNKNOWN = "N/A"

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_COUNT_UNITS = ("", "k", "M", "B", "T")


def number(value: float | None, digits: int = 3) -> str:
    """About `digits` significant digits, without exponent: `0.0123`, `12.3`, `1,234`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{min(decimals, 9)}f}"


def whole(value: float | None) -> str:
    """A count in full, as `12,345`."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.0f}"


def plural(count: int, noun: str) -> str:
    """A count and what is counted, as `1 request` or `1,234 requests`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(value: float | None) -> str:
    """Bytes in powers of 1000, as `1.23 GB`."""
    return _scaled(value, _BYTE_UNITS, " ")


def count(value: float | None) -> str:
    """A large count, as `8.03B` or `134M`."""
    return _scaled(value, _COUNT_UNITS, "")


def duration(seconds: float | None) -> str:
    """A latency in the unit that suits it: `850 µs`, `12.3 ms`, `1.23 s`, `2:05`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds >= 100:
        return clock(seconds)
    if abs(seconds) >= 1:
        return f"{number(seconds)} s"
    if abs(seconds) >= 1e-3:
        return f"{number(seconds * 1e3)} ms"
    return f"{number(seconds * 1e6)} µs" if seconds else "0 s"


def clock(seconds: float) -> str:
    """Elapsed time: `0:07`, `12:34`, `1:02:03`."""
    whole = max(int(seconds), 0)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def percent(share: float | None) -> str:
    """A share of 1, as `31 %`; below 1 %, with one more digit."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{share * 100:.1f} %" if 0 < share < 0.0095 else f"{share * 100:.0f} %"


def minus(text: str) -> str:
    """A text whose negative numbers have a minus sign in place of a hyphen."""
    return _NEGATIVE.sub(MINUS, text)


_NEGATIVE = re.compile(r"(?<![^\s(])-(?=\d)")


def _scaled(value: float | None, units: tuple[str, ...], blank: str) -> str:
    if value is None or not math.isfinite(value):
        return UNKNOWN
    scaled, place = float(value), 0
    while abs(scaled) >= 999.5 and place < len(units) - 1:
        scaled, place = scaled / 1000, place + 1
    text = f"{scaled:.0f}" if place == 0 or abs(scaled) >= 99.95 else number(scaled)
    return f"{text}{blank}{units[place]}".rstrip()
