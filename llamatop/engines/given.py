"""The prompts of a file as the model takes them: token ids, a conversation by its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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

_ANSWER = "answer-that-will-come"
"""Stands for an answer while the template writes what comes around it."""


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
    later: list[list[int]] = []
    turns = prompt.turns[: config.turns] if config.talks else [prompt.messages]
    if prompt.prompt_tokens is not None:
        pass  # it is made of blocks, when it is asked
    elif prompt.messages and chat is not None:
        for text in _spoken(where, prompt, turns, chat):
            later.append(list(tokenizer.encode(text, add_special_tokens=False).ids))
        ids = later.pop(0)
    elif len(turns) > 1:
        first, *others = (_plain(turn) for turn in turns)
        ids = list(tokenizer.encode(first).ids)
        later = [
            list(tokenizer.encode(f"\n{one}\n", add_special_tokens=False).ids) for one in others
        ]
    else:
        ids = list(tokenizer.encode(prompt.text).ids)
    tokens = prompt.prompt_tokens or len(ids)
    if not tokens:
        raise InputError(f"{where}: the tokenizer of {config.model} makes no token of it")
    usual = config.gen_lengths.longest if config.gen_lengths else config.gen_toks
    most = prompt.output_tokens or usual
    asked, answers = tokens + sum(map(len, later)), most * (1 + len(later))
    if source.context is not None and asked + answers > source.context:
        raise InputError(
            f"{where}: {asked} tokens and {answers} to generate make {asked + answers}: "
            f"{config.model} takes at most {source.context}"
        )
    blocks = prompt.prompt_tokens or 0
    return Given(ids, prompt.output_tokens, prompt.at, prompt.blocks, blocks, tuple(later))


def _plain(messages: Sequence[Message]) -> str:
    """Turns without a template."""
    return "\n".join(message.text for message in messages)


def _spoken(
    where: str, prompt: FilePrompt, turns: Sequence[tuple[Message, ...]], chat: Any
) -> list[str]:
    """What the template writes for each turn: the first from the start, others after an answer."""
    if len(turns) == 1:
        messages = turns[0] if turns[0] else prompt.messages
        return [_conversation(where, replace(prompt, messages=messages), chat)]
    said: list[dict[str, Any]] = []
    written: list[str] = []
    for turn in turns:
        said += [_turn(message) for message in turn]
        whole = _written(where, said, prompt.tools, chat)
        if written and _ANSWER not in whole:
            raise InputError(f"{where}: the model's chat template leaves out what was answered")
        written.append(whole.rpartition(_ANSWER)[2])
        said.append({"role": "assistant", "content": _ANSWER})
    return written


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
