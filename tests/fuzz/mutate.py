"""Files that are nearly what they were: bytes, numbers, texts and brackets changed, pieces moved.

The same seed gives the same file.
"""

from __future__ import annotations

import random
import re

NUMBERS = (b"0", b"-1", b"1e308", b"-1e308", b"1e999", b"NaN", b"Infinity", b"2147483648",
           b"-9223372036854775808", b"18446744073709551616", b"9" * 400, b"0.1e-400")  # fmt: skip
VALUES = (*NUMBERS, b"null", b"true", b'""', b"[]", b"{}", b'"\\ud800"', b'"\\u0000\\u001b[2J"',
          b'"\xff\xfe"', b'"' + b"x" * 3000 + b'"', b"[" * 300, b'{"a":' * 300)  # fmt: skip
PIECES = (b"\x00", b"\n", b"\r", b"\r\n\r\n", b"data: ", b"[DONE]", b"\xff", b"\xed\xa0\x80",
          b"\x1b]0;x\x07", b"\xe2\x80\xae", b",", b":", b'"', b"{", b"}", b"]", b"\\u")  # fmt: skip
_SPOTS = re.compile(rb'-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|"[^"\n]{0,200}"|null|true|false|[\[{]')


def mutated(data: bytes, dice: random.Random) -> bytes:
    """With one to six changes, mostly one."""
    for _ in range(dice.choice((1, 1, 1, 1, 2, 3, 6))):
        data = dice.choice((_value, _value, _byte, _bit, _cut, _doubled, _left_out, _piece))(
            data, dice
        )
    return data


def _value(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data) + 1)
    found = _SPOTS.search(data, start) or _SPOTS.search(data)
    if found is None:
        return _piece(data, dice)
    return data[: found.start()] + dice.choice(VALUES) + data[found.end() :]


def _byte(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


def _bit(data: bytes, dice: random.Random) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def _doubled(data: bytes, dice: random.Random) -> bytes:
    begin, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    part = data[begin : min(end, begin + 4096)]
    return data[:end] + part * dice.choice((1, 1, 2, 9)) + data[end:]


def _left_out(data: bytes, dice: random.Random) -> bytes:
    begin, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
    return data[:begin] + data[end:]


def _piece(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(PIECES) * dice.choice((1, 1, 3, 200)) + data[at:]
