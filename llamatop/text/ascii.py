"""What stands for a character where nothing but ASCII can be shown or written."""

from __future__ import annotations

_SIGNS = {
    "-": "─╴╌⊘\u2013\u2212",
    "|": "│┃╎╷❚",
    "+": "╭╮╰╯╋┌┐└┘├┤┬┴",
    "#": "█▇▆■▀▌▐▖▗▘▙▚▛▜▝▞▟",
    "=": "▅▄━╸▓",
    "_": "▃▂▁",
    ":": "░",
    "%": "▒",
    "*": "●◆•",
    "o": "○◔◕◌",
    ">": "▸▶→",
    "<": "←",
    "^": "↑▲△",
    "v": "▼↓✓▽",
    " ": "°\u2800",
    "x": "✗\u00d7",
    "~": "…±",
    ".": "·" + "".join(map(chr, range(0x2801, 0x2900))),
    "u": "µ",
    "'": "\u2018\u2019",
    '"': "\u201c\u201d",
}

ASCII = {ord(sign): plain for plain, signs in _SIGNS.items() for sign in signs} | {
    ord(sign): str(digit) for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")
}
"""By code point, one that looks like it, as wide as it is; a minus keeps its number's sign."""
