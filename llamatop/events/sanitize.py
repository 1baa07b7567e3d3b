"""Text from models, servers, devices and files, made harmless for a terminal.

A terminal obeys control characters wherever they come from, and Textual lets them through. So
every string of an event is cleaned where events enter, live and in a replay, before anything
else sees it. Line ends and tabs stay; whoever draws them in a row decides how.
"""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import get_args, get_type_hints

import msgspec

from llamatop.events.kinds import Event, TokensEmitted

REPLACEMENT = "\ufffd"

_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]

_TABLE: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *_BIDI, *range(0xD800, 0xE000)], REPLACEMENT),
}


def clean(text: str) -> str:
    """C0 controls as their pictures, C1, bidi controls and lone surrogates as U+FFFD."""
    return text if text.isprintable() else text.translate(_TABLE)


def one_line(text: str) -> str:
    """Clean, with line ends and tabs as blanks: for a row, a title, an error."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def clean_event(event: Event) -> Event:
    """The same fact with every string in it cleaned."""
    if isinstance(event, TokensEmitted):
        if event.text is None or event.text.isprintable():
            return event
        return TokensEmitted(event.time, event.request, event.count, clean(event.text))
    changed = _changed(event) if _wordy(type(event)) else None
    return msgspec.structs.replace(event, **changed) if changed else event


def _changed(struct: msgspec.Struct) -> dict[str, object]:
    """The fields whose cleaned value differs."""
    names = _wordy(type(struct))
    if not names:
        return {}
    old = {name: getattr(struct, name) for name in names}
    new = {name: _cleaned(value) for name, value in old.items()}
    return {name: value for name, value in new.items() if value is not old[name]}


@cache
def _wordy(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that may hold text."""
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if not _is_number(hints[name]))


def _is_number(hint: object) -> bool:
    parts = [part for part in get_args(hint) if part is not Ellipsis]
    return all(map(_is_number, parts)) if parts else hint in (int, float, bool, NoneType)


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        words = tuple(_cleaned(word) for word in value)
        return value if words == value else words
    if isinstance(value, msgspec.Struct):
        changed = _changed(value)
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, dict) and not all(isinstance(v, int) for v in value.values()):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    return value
