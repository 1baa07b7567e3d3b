"""How long the prompts of a file are for a model: asked of a child, which has tokenizers."""

from __future__ import annotations

import msgspec

from llamatop.predict.child import ask
from llamatop.predict.orphan import reply
from llamatop.settings.config import RunConfig


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
    """The child."""
    reply(RunConfig, lambda config: Longest(_longest(config)))


def _longest(config: RunConfig) -> int:
    from llamatop.engines.given import given_prompts  # noqa: PLC0415  (the child's alone)
    from llamatop.engines.resolve import resolve  # noqa: PLC0415
    from llamatop.engines.tokenizer import load_tokenizer  # noqa: PLC0415

    source = resolve(config, lambda *_: None)
    given = given_prompts(config, source, load_tokenizer(source.folder))
    return max(prompt.size.longest(config.gen_toks) for prompt in given)
