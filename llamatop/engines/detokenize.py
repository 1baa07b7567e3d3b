"""Token ids to text, a piece at a time, for many requests.

Knows the `tokenizers` library alone: neither a model nor what becomes of the text.
"""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from llamatop.engines.base import Detokenizer

PENDING = 8
"""After so many ids without text, what is there is shown, however incomplete."""


def make_detokenizer(tokenizer: Tokenizer | None) -> Detokenizer:
    """Text where there is a tokenizer, numbers where there is none."""
    return Numbers() if tokenizer is None else Text(tokenizer)


class Text:
    """Decodes with a tokenizer; a character that spans tokens waits until it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._streams: dict[int, _Stream] = {}

    def feed(self, request: int, tokens: list[int]) -> str:
        """The text that these ids complete; special tokens give none."""
        stream = self._streams.get(request)
        if stream is None:
            stream = self._streams[request] = _Stream(self._tokenizer)
        return "".join([stream.step(token) for token in tokens])

    def end(self, request: int) -> None:
        """Forget a request that has ended."""
        self._streams.pop(request, None)


class Numbers:
    """Shows ids as `·1234 `, for a model that has no tokenizer."""

    def feed(self, request: int, tokens: list[int]) -> str:
        """The ids themselves."""
        return "".join([f"·{token} " for token in tokens])

    def end(self, request: int) -> None:
        """Nothing is kept of a request."""


class _Stream:
    """One request's text so far, as far as the next token needs it."""

    __slots__ = ("_pending", "_stream", "_tokenizer")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending: list[int] = []

    def step(self, token: int) -> str:
        try:
            text = self._stream.step(self._tokenizer, token)
        except Exception:  # tokenizers raises no narrower kind for text that it cannot continue
            return self._flush(token)
        if text is not None:
            self._pending.clear()
            return str(text)
        if len(self._pending) + 1 >= PENDING:
            return self._flush(token)
        self._pending.append(token)
        return ""

    def _flush(self, token: int) -> str:
        """What is pending, however incomplete; the next token begins anew."""
        text = self._tokenizer.decode([*self._pending, token], skip_special_tokens=True)
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending.clear()
        return str(text)
