"""The prompts of a file as the model takes them: token ids, a conversation by its chat template."""

from __future__ import annotations

from typing import Any

import jinja2
import msgspec
from tokenizers import Tokenizer

from llamatop.engines.prompts import Given
from llamatop.engines.resolve import Source
from llamatop.engines.tokenizer import chat_of
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.settings.messages import Message
from llamatop.settings.prompt_file import read_prompts
from llamatop.settings.prompt_lines import FilePrompt


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
    where = f"--prompts {config.prompts}, {prompt.where}"
    ids: list[int] = []
    if prompt.prompt_tokens is not None:
        pass  # it is made of blocks, when it is asked
    elif prompt.messages and chat is not None:
        text = _conversation(where, prompt, chat)
        ids = list(tokenizer.encode(text, add_special_tokens=False).ids)
    else:
        ids = list(tokenizer.encode(prompt.text).ids)
    tokens = prompt.prompt_tokens or len(ids)
    if not tokens:
        raise InputError(f"{where}: the tokenizer of {config.model} makes no token of it")
    usual = config.gen_lengths.longest if config.gen_lengths else config.gen_toks
    most = prompt.output_tokens or usual
    if source.context is not None and tokens + most > source.context:
        raise InputError(
            f"{where}: {tokens} tokens and {most} to generate make {tokens + most}: "
            f"{config.model} takes at most {source.context}"
        )
    return Given(ids, prompt.output_tokens, prompt.at, prompt.blocks, prompt.prompt_tokens or 0)


def _conversation(where: str, prompt: FilePrompt, chat: Any) -> str:
    """The whole conversation as the model reads it.

    Where the template passes over calls, they stand as JSON in the content of their turn.
    """
    written = _written(where, [_turn(one) for one in prompt.messages], prompt.tools, chat)
    if all(name in written for one in prompt.messages for name in one.called):
        return written
    turns = [_turn(one) | {"content": one.text} for one in prompt.messages]
    return _written(where, turns, prompt.tools, chat)


def _written(where: str, turns: list[dict[str, Any]], tools: tuple[Any, ...], chat: Any) -> str:
    try:
        return str(
            chat.apply_chat_template(
                turns, tools=list(tools) or None, tokenize=False, add_generation_prompt=True
            )
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{where}: the model's chat template refuses it: {reason}") from None


def _turn(message: Message) -> dict[str, Any]:
    """As templates take it: no content is an empty text, the arguments of a call are an object."""
    turn = message.sent | {"content": message.content or ""}
    if isinstance(turn.get("tool_calls"), list):
        turn["tool_calls"] = [_call(call) for call in turn["tool_calls"]]
    return turn


def _call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = msgspec.json.decode(function["arguments"])
    except msgspec.MsgspecError:
        return call
    return call | {"function": function | {"arguments": arguments}}
