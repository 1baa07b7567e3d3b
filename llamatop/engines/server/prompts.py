"""What each request asks a server: ids of an exact length, text of a measured one, or a file's.

Prompts differ from their first token on, so that no server's prefix cache answers for it. A
chat template that a server puts before them cannot be helped.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from llamatop.engines.base import GivenSize, Job
from llamatop.engines.prompts import Prompts
from llamatop.engines.server.bodies import Chat, Prompt
from llamatop.errors import InputError
from llamatop.settings.config import Endpoint, RunConfig
from llamatop.settings.messages import Message
from llamatop.settings.prompt_file import read_prompts
from llamatop.settings.prompt_lines import BLOCK_TOKENS, FilePrompt

CORPUS_CHARACTERS = 200_000

TOKENS_PER_CHARACTER = 0.3
"""Of a text of which neither a server nor a tokenizer counts the tokens."""


_BEGINNINGS = 8
"""So many places of the corpus are tried for one prompt."""

_AHEAD = 4096
"""Prompts that are made before they are asked for, at most."""

_FAR = 1_000_003
"""From the number of one request's prompt to that of another that it may have instead."""


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

    def shared(self, prefix: int, tokens: int, request: int, own: int) -> Prompt:
        """A prompt so long: a shared beginning, and at its end so many tokens of its own."""
        ...

    def of_blocks(self, blocks: Sequence[int], tokens: int, request: int) -> Prompt:
        """The text that these blocks stand for, then text of the request's own."""
        ...


class TokenizedText:
    """Text of exactly so many tokens, by a tokenizer of ours."""

    def __init__(self, tokenizer: Tokenizer, seed: int, added: int = 0) -> None:
        """`added`: tokens that the server puts around every prompt."""
        self._tokenizer = tokenizer
        self.added = added
        ids = tokenizer.encode(corpus(), add_special_tokens=False).ids
        self._prompts = Prompts(list(ids), [], seed)
        self._beginnings: dict[int, str] = {}

    def prompt(self, request: int, tokens: int) -> str:
        """Text of the right length; of the nearest, where no beginning gives the right one."""
        wanted = max(tokens - self.added, 1)
        text = ""
        for beginning in range(_BEGINNINGS):
            text, exact = self._cut(request + beginning * _FAR, wanted)
            if exact:
                break
        return text

    def shared(self, prefix: int, tokens: int, request: int, own: int) -> str:
        """The beginning's own text, and after it text until the length is right, if it can be."""
        if prefix not in self._beginnings:
            self._beginnings[prefix] = self.prompt(-1 - prefix, tokens - own + self.added)
        beginning, length, text = self._beginnings[prefix], own, ""
        wanted = max(tokens - self.added, 1)
        for _ in range(4):
            end = self._tokenizer.decode(self._prompts.prompt(request, max(length, 1)))
            text = beginning + end
            got = self.count(text)
            if got == wanted:
                break
            length += wanted - got
        return text

    def of_blocks(self, blocks: Sequence[int], tokens: int, request: int) -> str:
        """Text of these blocks; where two meet, a token more or less may come of it."""
        return self._tokenizer.decode(self._prompts.of_blocks(blocks, tokens, request))

    def _cut(self, request: int, wanted: int) -> tuple[str, bool]:
        """Text whose ids are cut or lengthened until their number is right, or cannot be."""
        length, text = wanted, ""
        for _ in range(4):
            text = self._tokenizer.decode(self._prompts.prompt(request, max(length, 1)))
            got = self.count(text)
            if got == wanted:
                return text, True
            length += wanted - got
        return text, False

    def count(self, text: str) -> int:
        """Tokens of a text, without what a server adds."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class MeasuredText:
    """Text of about so many tokens, by what the server counted of some."""

    def __init__(self, seed: int) -> None:
        self._added = 0.0
        self._per_character = TOKENS_PER_CHARACTER
        pieces = re.findall(r"\S+\s*", corpus())
        numbers = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
        self._words = list(numbers)
        self._prompts = Prompts([numbers[piece] for piece in pieces], [], seed)

    def prompt(self, request: int, tokens: int) -> str:
        """As many words as tokens should need."""
        characters = (tokens - self._added) / self._per_character
        return self.text(request, max(round(characters), 1))

    def shared(self, prefix: int, tokens: int, request: int, own: int) -> str:
        """Words of the beginning, then the request's own."""
        beginning = self.prompt(-1 - prefix, tokens - own)
        characters = max(round(own / self._per_character), 1)
        return f"{beginning} {self.text(request, characters)}"

    def of_blocks(self, blocks: Sequence[int], tokens: int, request: int) -> str:
        """Each block's own words, as many as its tokens should need."""
        texts, left = [], tokens
        for block in blocks:
            size = min(BLOCK_TOKENS, left)
            texts.append(self.text(block, max(round(size / self._per_character), 1)))
            left -= size
        return " ".join([*texts, *([self.prompt(request, left)] if left else [])])

    def text(self, request: int, characters: int) -> str:
        """Whole words of so many characters, the first another one than the last requests'."""
        words = (self._words[n] for n in self._prompts.prompt(request, characters // 2 + 1))
        left = characters
        taken: list[str] = []
        for word in words:
            if taken and len(word) > 2 * left:
                break
            taken.append(word)
            left -= len(word)
        return "".join(taken).rstrip()

    def learn(self, few: tuple[str, int], many: tuple[str, int]) -> None:
        """From two texts and their tokens, as the server counts."""
        more, tokens = len(many[0]) - len(few[0]), many[1] - few[1]
        if more > 0 and tokens > 0:
            self._per_character = tokens / more
            self._added = few[1] - self._per_character * len(few[0])


class Ahead:
    """Makes the prompts of coming requests beside the loop, where making one takes its time.

    A guess: the request that takes this one's slot asks for as many tokens.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="prompts")
        self._coming: dict[tuple[int, int], Future[Prompt]] = {}

    def prompt(self, request: int, tokens: int) -> Prompt:
        """What was made ahead, or what is made now."""
        made = self._coming.pop((request, tokens), None)
        return made.result() if made is not None else self._source.prompt(request, tokens)

    def expect(self, request: int, tokens: int) -> None:
        """A request that may come."""
        wanted = (request, tokens)
        if wanted not in self._coming and len(self._coming) < _AHEAD:
            self._coming[wanted] = self._beside.submit(self._source.prompt, request, tokens)
        for old in [one for one in self._coming if one[0] < request - _AHEAD]:
            del self._coming[old]


class Prompter:
    """The prompt of each job, as the endpoint takes it."""

    def __init__(
        self, source: Source, given: Sequence[FilePrompt], endpoint: Endpoint, talks: bool = False
    ) -> None:
        """`talks`: requests belong to conversations, and are text."""
        self._talks = talks
        self._source = source
        self._ahead = Ahead(source) if isinstance(source, TokenizedText) else None
        self._given = given
        self._chat = endpoint == "chat"

    def of(self, job: Job) -> Prompt:
        """The prompt of a request, with the conversation before it."""
        if self._talks:
            return self._said(job) if self._chat else self._written(job)
        if job.given is None:
            made = self._made_up(job)
            return [{"role": "user", "content": str(made)}] if self._chat else made
        given = self._given[job.given]
        return self._of_blocks(given, job) if given.prompt_tokens else self._of_file(given)

    def _said(self, job: Job) -> Prompt:
        messages: list[dict[str, Any]] = []
        for before in job.history:
            messages += self._asked(before.job)
            messages.append({"role": "assistant", "content": before.text})
        tools = () if job.given is None else self._given[job.given].tools
        return Chat([*messages, *self._asked(job)], tools)

    def _written(self, job: Job) -> Prompt:
        parts = [f"{self._own_text(one.job)}\n{one.text}\n" for one in job.history]
        return "".join([*parts, self._own_text(job)])

    def _asked(self, job: Job) -> list[dict[str, Any]]:
        """The messages of its own turn."""
        if job.given is not None and self._given[job.given].messages:
            return [one.sent for one in self._turn(job)]
        return [{"role": "user", "content": self._own_text(job)}]

    def _own_text(self, job: Job) -> str:
        if job.given is None:
            tokens = job.own_tokens if job.history else job.prompt_tokens
            if job.prefix is not None:
                return str(self._source.shared(job.prefix, tokens, job.id, job.own_tokens))
            return str(self._source.prompt(job.id, tokens))
        given = self._given[job.given]
        return "\n".join(one.text for one in self._turn(job)) if given.messages else given.text

    def _turn(self, job: Job) -> Sequence[Message]:
        return self._given[job.given or 0].turns[len(job.history)]

    def _made_up(self, job: Job) -> Prompt:
        if job.prefix is not None:
            return self._source.shared(job.prefix, job.prompt_tokens, job.id, job.own_tokens)
        return (self._ahead or self._source).prompt(job.id, job.prompt_tokens)

    def expect(self, job: Job, later: int) -> None:
        """A request that comes `later` requests after this one is likely as long."""
        if self._ahead is not None and job.given is None and job.prefix is None:
            self._ahead.expect(job.id + later, job.prompt_tokens)

    def _of_blocks(self, given: FilePrompt, job: Job) -> Prompt:
        """What the blocks of a trace's line stand for."""
        made = self._source.of_blocks(given.blocks, given.prompt_tokens or 1, job.id)
        return [{"role": "user", "content": str(made)}] if self._chat else made

    def _of_file(self, given: FilePrompt) -> Prompt:
        if not self._chat:
            return given.text
        if not given.messages:
            return [{"role": "user", "content": given.text}]
        return Chat([one.sent for one in given.messages], given.tools)


def given_of(config: RunConfig) -> list[FilePrompt]:
    """The prompts of the file that `config` names; none without one. Raises InputError."""
    return [] if config.prompts is None else read_prompts(config.prompts)


def given_sizes(
    given: Sequence[FilePrompt], tokenizer: Tokenizer | None, talks: bool
) -> list[GivenSize]:
    """Tokens in, by the tokenizer where there is one, else by their characters; and out."""
    return [
        GivenSize(
            one.prompt_tokens or _tokens(_text_of(one.turns[0]) or one.text, tokenizer),
            one.output_tokens,
            one.at,
            tuple(_tokens(_text_of(turn), tokenizer) for turn in one.turns[1:]),
        )
        if talks
        else GivenSize(one.prompt_tokens or _tokens(one.text, tokenizer), one.output_tokens, one.at)
        for one in given
    ]


def _text_of(messages: Sequence[Message]) -> str:
    return "\n".join(message.text for message in messages)


def _tokens(text: str, tokenizer: Tokenizer | None) -> int:
    if tokenizer is not None:
        return max(len(tokenizer.encode(text).ids), 1)
    return max(round(len(text) * TOKENS_PER_CHARACTER), 1)
