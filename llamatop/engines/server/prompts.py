"""What each request asks a server: ids of an exact length, text of a measured one, or a file's.

Prompts differ from their first token on, so that no server's prefix cache answers for it. A
chat template that a server puts before them cannot be helped.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from llamatop.engines.base import GivenSize, Job
from llamatop.engines.prompts import Prompts
from llamatop.engines.server.bodies import Prompt
from llamatop.errors import InputError
from llamatop.settings.config import Endpoint, RunConfig
from llamatop.settings.prompt_file import FilePrompt, read_prompts

CORPUS_CHARACTERS = 200_000

TOKENS_PER_WORD = 1.8
"""Of a word of the corpus with what follows it, where neither server nor tokenizer counts."""


def corpus() -> str:
    """A long text: Python's own documentation."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return "\n".join(topics[name] for name in sorted(topics))[:CORPUS_CHARACTERS]


def load_tokenizer(where: str) -> Tokenizer:
    """A tokenizer of a folder, a file or the Hub. Raises InputError."""
    path = Path(where)
    try:
        if path.is_dir():
            path = path / "tokenizer.json"
        if path.is_file():
            return Tokenizer.from_file(str(path))
        return Tokenizer.from_pretrained(where)
    except Exception as error:  # the package raises bare Exception
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--tokenizer {where}: cannot be loaded: {reason}") from None


class Source(Protocol):
    """Where made-up prompts come from."""

    def prompt(self, request: int, tokens: int) -> Prompt:
        """The prompt of a request, so many tokens long as near as can be."""
        ...


class TokenizedText:
    """Text of exactly so many tokens, by a tokenizer of ours."""

    def __init__(self, tokenizer: Tokenizer, seed: int, added: int = 0) -> None:
        """`added`: tokens that the server puts around every prompt."""
        self._tokenizer = tokenizer
        self.added = added
        ids = tokenizer.encode(corpus(), add_special_tokens=False).ids
        self._prompts = Prompts(list(ids), [], seed)

    def prompt(self, request: int, tokens: int) -> str:
        """Text whose ids are cut or lengthened until their number is right."""
        wanted = max(tokens - self.added, 1)
        length = wanted
        text = ""
        for _ in range(8):
            text = self._tokenizer.decode(self._prompts.prompt(request, max(length, 1)))
            got = self.count(text)
            if got == wanted:
                break
            length += wanted - got
        return text

    def count(self, text: str) -> int:
        """Tokens of a text, without what a server adds."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class MeasuredText:
    """Text of about so many tokens, by what the server counted of some."""

    def __init__(self, seed: int) -> None:
        self.added = 0.0
        self.per_word = TOKENS_PER_WORD
        pieces = re.findall(r"\S+\s*", corpus())
        numbers = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
        self._words = list(numbers)
        self._prompts = Prompts([numbers[piece] for piece in pieces], [], seed)

    def prompt(self, request: int, tokens: int) -> str:
        """As many words as tokens should need."""
        words = round((tokens - self.added) / self.per_word)
        return self.words(request, max(words, 1))

    def words(self, request: int, count: int) -> str:
        """So many words, which begin with another one than the last requests' did."""
        return "".join(self._words[n] for n in self._prompts.prompt(request, count)).rstrip()

    def learn(self, few: tuple[int, int], many: tuple[int, int]) -> None:
        """From two texts' (words, tokens), as the server counts."""
        if many[0] > few[0] and many[1] > few[1]:
            self.per_word = (many[1] - few[1]) / (many[0] - few[0])
            self.added = few[1] - self.per_word * few[0]


class Prompter:
    """The prompt of each job, as the endpoint takes it."""

    def __init__(self, source: Source, given: Sequence[FilePrompt], endpoint: Endpoint) -> None:
        self._source = source
        self._given = given
        self._chat = endpoint == "chat"

    def of(self, job: Job) -> Prompt:
        """The prompt of a request."""
        if job.given is None:
            made = self._source.prompt(job.id, job.prompt_tokens)
            return [{"role": "user", "content": str(made)}] if self._chat else made
        given = self._given[job.given]
        if not self._chat:
            return given.text
        turns = [{"role": one.role, "content": one.content} for one in given.messages]
        return turns or [{"role": "user", "content": given.text}]


def given_of(config: RunConfig) -> list[FilePrompt]:
    """The prompts of the file that `config` names; none without one. Raises InputError."""
    return [] if config.prompts is None else read_prompts(config.prompts)


def given_sizes(given: Sequence[FilePrompt], tokenizer: Tokenizer | None) -> list[GivenSize]:
    """Tokens in, by the tokenizer where there is one, else by their words; and out."""
    return [(_tokens(one.text, tokenizer), one.output_tokens) for one in given]


def _tokens(text: str, tokenizer: Tokenizer | None) -> int:
    if tokenizer is not None:
        return max(len(tokenizer.encode(text).ids), 1)
    return max(round(len(text.split()) * TOKENS_PER_WORD), 1)
