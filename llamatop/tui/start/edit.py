"""A line of text that is being typed, with its caret. Pure: knows no widget."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from llamatop.events.sanitize import one_line

LONGEST = 300
"""Characters that a line takes; what is pasted beyond is dropped."""


class Edit(msgspec.Struct, frozen=True):
    """A text, and the place in it where the next character goes."""

    text: str = ""
    caret: int = 0
    whole: bool = False
    """Whether all of it is selected: what is typed takes its place."""

    @classmethod
    def of(cls, text: str) -> Edit:
        """A text with the caret at its end."""
        return cls(text, len(text))

    def selected(self) -> Edit:
        """The same, all of it selected."""
        return Edit(self.text, len(self.text), whole=True)

    def typed(self, text: str) -> Edit:
        """With more text at the caret; a pasted one as a single line."""
        if self.whole:
            return Edit().typed(text)
        room = max(LONGEST - len(self.text), 0)
        more = one_line(text.strip("\r\n"))[:room]
        return Edit(
            self.text[: self.caret] + more + self.text[self.caret :], self.caret + len(more)
        )

    def pressed(self, key: str) -> Edit | None:
        """After an editing key; None where the key is none."""
        act = _KEYS.get(key)
        if act is None or not self.whole:
            return act(self) if act else None
        if key in _TO_START:
            return Edit(self.text)
        return Edit.of(self.text if key in _TO_END else "")

    def moved(self, characters: int) -> Edit:
        """With the caret further on, or back."""
        return Edit(self.text, min(max(self.caret + characters, 0), len(self.text)))

    def without(self, start: int, end: int) -> Edit:
        """Without the characters from `start` to `end`; the caret where they were."""
        start = max(start, 0)
        return Edit(self.text[:start] + self.text[end:], start)

    def word_start(self) -> int:
        """Where the word before the caret begins; a slash or dash ends a word too."""
        at = self.caret
        while at and self.text[at - 1] in _BREAKS:
            at -= 1
        while at and self.text[at - 1] not in _BREAKS:
            at -= 1
        return at


_BREAKS = " /-,"

_TO_START = frozenset({"left", "home", "ctrl+a"})
_TO_END = frozenset({"right", "end", "ctrl+e"})
"""Where keys put the caret that end a selection and keep its text."""

_KEYS: dict[str, Callable[[Edit], Edit]] = {
    "backspace": lambda e: e.without(e.caret - 1, e.caret),
    "delete": lambda e: Edit(e.text[: e.caret] + e.text[e.caret + 1 :], e.caret),
    "left": lambda e: e.moved(-1),
    "right": lambda e: e.moved(1),
    "home": lambda e: e.moved(-LONGEST),
    "end": lambda e: e.moved(LONGEST),
    "ctrl+a": lambda e: e.moved(-LONGEST),
    "ctrl+e": lambda e: e.moved(LONGEST),
    "ctrl+w": lambda e: e.without(e.word_start(), e.caret),
    "ctrl+backspace": lambda e: e.without(e.word_start(), e.caret),
    "ctrl+u": lambda e: e.without(0, e.caret),
    "ctrl+k": lambda e: Edit(e.text[: e.caret], e.caret),
}
