"""How long the prompts of a file are for a model: asked of a child, which has tokenizers."""

from __future__ import annotations

import os
import sys

import msgspec

from llamatop.config import RunConfig
from llamatop.errors import InputError
from llamatop.predict.child import ask
from llamatop.predict.traced import Refusal


class Longest(msgspec.Struct, frozen=True, tag=True):
    """Tokens of the longest prompt of a file."""

    tokens: int


def with_longest_prompt(config: RunConfig) -> RunConfig:
    """The same run with the longest of its file's prompts in `prompt_toks`, as it is predicted.

    Raises InputError where they cannot be counted, as of a model that is not on this machine yet.
    """
    if config.prompts is None:
        return config
    longest = ask("llamatop.predict.counting", config, Longest)
    return msgspec.structs.replace(config, prompt_toks=longest.tokens)


def main() -> None:
    """The child: answer what stdin asks."""
    out = os.dup(1)
    os.dup2(2, 1)
    config = msgspec.json.decode(sys.stdin.buffer.read(), type=RunConfig)
    try:
        answer: Longest | Refusal = Longest(_longest(config))
    except InputError as refusal:
        answer = Refusal(str(refusal))
    with os.fdopen(out, "wb") as pipe:
        pipe.write(msgspec.json.encode(answer))


def _longest(config: RunConfig) -> int:
    from llamatop.engines.given import given_prompts  # noqa: PLC0415  (the child's alone)
    from llamatop.engines.resolve import resolve  # noqa: PLC0415
    from llamatop.engines.tokenizer import load_tokenizer  # noqa: PLC0415

    source = resolve(config, lambda *_: None)
    given = given_prompts(config, source, load_tokenizer(source.folder))
    return max(len(prompt.ids) for prompt in given)
