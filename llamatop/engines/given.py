"""The prompts of a file as the model takes them: token ids, a conversation by its chat template."""

from __future__ import annotations

from typing import Any

import jinja2
from tokenizers import Tokenizer

from llamatop.engines.prompts import Given
from llamatop.engines.resolve import Source
from llamatop.engines.tokenizer import chat_of
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.settings.prompt_file import FilePrompt, read_prompts


def given_prompts(config: RunConfig, source: Source, tokenizer: Tokenizer | None) -> list[Given]:
    """Every prompt of the file that `config` names; none without one.

    Raises InputError where the model has no tokenizer, or a prompt does not fit its context.
    """
    if config.prompts is None:
        return []
    if tokenizer is None:
        raise InputError(
            f"--prompts {config.prompts}: {config.model} has no tokenizer here (random weights "
            "come without one); use --prompt-toks"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    prompts = read_prompts(config.prompts)
    chat = chat_of(source.folder) if any(prompt.messages for prompt in prompts) else None
    return [_given(config, source, prompt, tokenizer, chat) for prompt in prompts]


def _given(
    config: RunConfig, source: Source, prompt: FilePrompt, tokenizer: Tokenizer, chat: Any
) -> Given:
    where = f"--prompts {config.prompts}, line {prompt.line}"
    if prompt.messages and chat is not None:
        text = _conversation(where, prompt, chat)
        ids = list(tokenizer.encode(text, add_special_tokens=False).ids)
    else:
        ids = list(tokenizer.encode(prompt.text).ids)
    if not ids:
        raise InputError(f"{where}: the tokenizer of {config.model} makes no token of it")
    usual = config.gen_lengths.longest if config.gen_lengths else config.gen_toks
    most = prompt.output_tokens or usual
    if source.context is not None and len(ids) + most > source.context:
        raise InputError(
            f"{where}: {len(ids)} tokens and {most} to generate make {len(ids) + most}: "
            f"{config.model} takes at most {source.context}"
        )
    return Given(ids, prompt.output_tokens)


def _conversation(where: str, prompt: FilePrompt, chat: Any) -> str:
    turns = [{"role": one.role, "content": one.content} for one in prompt.messages]
    try:
        return str(chat.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{where}: the model's chat template refuses it: {reason}") from None
