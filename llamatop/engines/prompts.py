"""Prompts: those of a file, or made up, of an exact length, each different from its first token on.

A prompt that begins like another could be answered from a cache, and its time to first token
would measure that. Text is Python's own documentation; where there is no tokenizer, noise.
Making one is a slice of a list: no work beside a running decode.
"""

from __future__ import annotations

import importlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from llamatop.engines.base import GivenSize, Job
from llamatop.settings.prompt_lines import BLOCK_TOKENS

TEXT_CHARACTERS = 400_000
"""So much of the documentation is encoded, once."""
NOISE_TOKENS = 100_000


@dataclass(frozen=True, slots=True)
class Given:
    """A prompt of a file, as the model's tokenizer makes it ids; or blocks that it is made of."""

    ids: list[int]
    max_tokens: int | None
    at: float | None = None
    """When it arrived, by the file's own clock (s)."""
    blocks: tuple[int, ...] = ()
    block_tokens: int = 0
    """How long a prompt of blocks is; 0: `ids` are the prompt."""
    later: tuple[list[int], ...] = ()
    """What each turn after the first adds to its conversation, from the end of the last answer."""

    @property
    def size(self) -> GivenSize:
        """How long it is."""
        first = self.block_tokens or len(self.ids)
        return GivenSize(first, self.max_tokens, self.at, tuple(map(len, self.later)))


def _number(prefix: int) -> int:
    """The number of the prompt that a shared beginning is: no request has one below 0."""
    return -1 - prefix


class Prompts:
    """Windows of one long list of token ids, each beginning with another id than the last ones."""

    def __init__(self, corpus: list[int], begin: list[int], seed: int) -> None:
        """`begin` are the ids with which every prompt begins (a tokenizer's `<bos>`)."""
        self.given: list[Given] = []
        """The prompts of a file, in its order; empty without one."""
        self._corpus = corpus
        self._begin = begin
        self._starts = _starts(corpus, random.Random(seed))

    @classmethod
    def make(cls, tokenizer: Any, vocabulary: int, special_ids: frozenset[int], seed: int) -> Self:
        """From text where there is a tokenizer (a `tokenizers.Tokenizer`), else from noise."""
        if tokenizer is None:
            return cls(_noise(vocabulary, special_ids, seed), [], seed)
        return cls(_text(tokenizer), _begin(tokenizer), seed)

    @property
    def given_sizes(self) -> list[GivenSize]:
        """Tokens in and, where the file says so, out of each given prompt."""
        return [one.size for one in self.given]

    def of(self, job: Job) -> list[int]:
        """The prompt of a request, with the conversation before it."""
        ids: list[int] = []
        for before in job.history:
            ids += self._own(before.job)
            ids += before.ids
        return ids + self._own(job) if ids else self._own(job)

    def _own(self, job: Job) -> list[int]:
        """What it adds to its conversation."""
        if job.given is None:
            return self.made_up(job)
        given = self.given[job.given]
        if job.history:
            return given.later[len(job.history) - 1]
        if given.block_tokens:
            return self.of_blocks(given.blocks, given.block_tokens, job.id)
        return given.ids

    def made_up(self, job: Job) -> list[int]:
        """The prompt of a request that no file has."""
        if job.history:
            return self._window(job.id, job.own_tokens)
        if job.prefix is None:
            return self.prompt(job.id, job.prompt_tokens)
        return self.shared(job.prefix, job.prompt_tokens, job.id, job.own_tokens)

    def shared(self, prefix: int, tokens: int, request: int, own: int) -> list[int]:
        """A prompt of so many tokens: a shared beginning, and at its end those of its own."""
        return self.prompt(_number(prefix), tokens - own) + self._window(request, own)

    def of_blocks(self, blocks: Sequence[int], tokens: int, request: int) -> list[int]:
        """A prompt of so many tokens: what its blocks stand for, then text of the request's own."""
        ids = list(self._begin[:tokens])
        for block in blocks:
            size = min(BLOCK_TOKENS, tokens - len(ids))
            half = size // 2  # two windows tell more blocks apart than there are windows
            ids += self._window(block, half)
            ids += self._window(block // len(self._starts), size - half)
        return ids + self._window(request, tokens - len(ids))

    def prompt(self, request: int, tokens: int) -> list[int]:
        """The prompt of that request, `tokens` ids long, the same for the same seed."""
        body = tokens - len(self._begin)
        if body <= 0:
            return self._begin[:tokens]
        return self._begin + self._window(request, body)

    def _window(self, number: int, tokens: int) -> list[int]:
        """So many tokens of the corpus, from that one's place on, and from its start again."""
        start = self._starts[number % len(self._starts)]
        window = self._corpus[start : start + tokens]
        while len(window) < tokens:
            window += self._corpus[: tokens - len(window)]
        return window


def _starts(corpus: list[int], rng: random.Random) -> list[int]:
    """Every place in the corpus, ordered so that ids to begin with come back as late as can be."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, token in enumerate(corpus):
        places[token].append(place)
    for same in places.values():
        rng.shuffle(same)
    order: list[int] = []
    groups = list(places.values())
    while groups:
        rng.shuffle(groups)
        order.extend(group.pop() for group in groups)
        groups = [group for group in groups if group]
    return order


def _text(tokenizer: Any) -> list[int]:
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    text = "\n".join(topics[name] for name in sorted(topics))[:TEXT_CHARACTERS]
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _begin(tokenizer: Any) -> list[int]:
    """The ids that the tokenizer puts before every text."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    place = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
    return list(whole[:place])


def _noise(vocabulary: int, special_ids: frozenset[int], seed: int) -> list[int]:
    rng = random.Random(seed)
    usable = [id for id in range(vocabulary) if id not in special_ids]
    return rng.choices(usable, k=NOISE_TOKENS)
