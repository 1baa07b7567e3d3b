"""Getting to know a server before the first level: what it is, what it takes, how it counts.

Asks with the same settings as every later request, since a server may keep those of its first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llamatop.engines.server import known
from llamatop.engines.server.asking import Asker, Probed
from llamatop.engines.server.bodies import EXACT, Fields, Manner, Prompt
from llamatop.engines.server.exchange import RequestError
from llamatop.engines.server.known import Reply
from llamatop.errors import InputError
from llamatop.settings.config import RunConfig
from llamatop.text.formatting import UNKNOWN

PROBE_TOKENS = 6
"""Output tokens of a probing request."""

LOADING_SECONDS = 600.0
"""How long a server that says it is loading is waited for."""

_LISTED = 5
"""So many models are named in a message."""

HELLO = "Count from one to ten, and then"


@dataclass(slots=True)
class Met:
    """What was found out of one server."""

    url: str
    name: str
    version: str | None
    model: str | None
    context: int | None
    manner: Manner
    pool: list[int] = field(default_factory=list)
    """Token ids of a long text, as the server makes them; empty: it takes or makes none."""
    notes: list[str] = field(default_factory=list)
    hello_tokens: int | None = None
    """Tokens of `HELLO` as a prompt, by the server's count."""


async def meet(
    asker: Asker, config: RunConfig, text: str, ids: list[int], loading: Callable[[], None]
) -> Met:
    """Find out. Raises InputError, in one line, where it cannot serve.

    `text` is a long one that prompts are made from, empty where none are; `ids` what a tokenizer of
    ours makes of it (none without one).
    """
    models = await _reach(asker, loading)
    name = known.name_by_models(models)
    listed = known.models_of(models)
    model = config.model or _only(asker.url, listed, models.status)
    fields, probed = await _negotiate(asker, config, Fields.wished(name, model, config.shares))
    if name == "unknown":
        name = known.name_by_answer(probed.headers, probed.first)
    version = known.version_by_answer(name, probed.headers, probed.first)
    if version is None:
        version = await _version(asker, name)
    context = known.context_of(listed, model)
    met = Met(asker.url, name, version, model, context, Manner(fields, probed.answer.by))
    met.hello_tokens = probed.answer.prompt
    if config.endpoint == "completions" and text and not config.talks:
        met.pool = ids or await _pool(asker, met.model, text)
        await _try_ids(asker, config, met)
    met.notes += _notes(met, config)
    return met


async def meet_again(asker: Asker, met: Met) -> str:
    """Ask a server that is back what it is now, and keep that; in words what differs, else empty.

    It goes on being asked for the same model. What it does not tell stays as it was.
    """
    reply = await asker.get("/v1/models")
    listed = known.models_of(reply)
    ids = [str(one["id"]) for one in listed]
    name = known.name_by_models(reply)
    name = met.name if name == "unknown" else name
    model = met.model if met.model in ids or len(ids) != 1 else ids[0]
    version = await _version(asker, name) or met.version
    context = known.context_of(listed, model) or met.context
    pairs: dict[str, tuple[str | int | None, str | int | None]] = {
        "server": (met.name, name),
        "version": (met.version, version),
        "model": (met.model, model),
        "context": (met.context, context),
    }
    met.name, met.version, met.model, met.context = name, version, model, context
    return ", ".join(
        f"{what} {new} instead of {UNKNOWN if old is None else old}"
        for what, (old, new) in pairs.items()
        if new != old
    )


async def _reach(asker: Asker, loading: Callable[[], None]) -> Reply:
    """Its list of models, once it has loaded."""
    deadline = asyncio.get_running_loop().time() + LOADING_SECONDS
    while True:
        reply = await asker.get("/v1/models")
        if reply.status == 0:
            words = reply.body.decode()
            raise InputError(
                f"--url {asker.url}: no server answers ({words}); start it, or correct the address"
            )
        if reply.status in (401, 403):
            raise InputError(
                f"--url {asker.url}: it wants a key (HTTP {reply.status}); put it into "
                "OPENAI_API_KEY, or name its variable with --api-key-env"
            )
        if 300 <= reply.status < 400:
            raise InputError(
                f"--url {asker.url}: it redirects, which is not followed; give the address that "
                "answers itself"
            )
        if reply.status != 503 or asyncio.get_running_loop().time() > deadline:
            return reply
        loading()
        await asyncio.sleep(0.5)


def _only(url: str, listed: Sequence[dict[str, Any]], status: int) -> str:
    """The one model that a server lists."""
    if len(listed) == 1:
        return str(listed[0]["id"])
    if not listed:
        raise InputError(
            f"--url {url}: it lists no model (HTTP {status} for /v1/models); correct the address, "
            "or name the model that it serves with --model"
        )
    names = ", ".join(str(one["id"]) for one in listed[:_LISTED])
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    raise InputError(
        f"--url {url}: it lists {len(listed)} models; choose by --model: {names}{more}"
    )


async def _negotiate(asker: Asker, config: RunConfig, fields: Fields) -> tuple[Fields, Probed]:
    """Leave out what it refuses until it answers; then try again what no refusal named."""
    unnamed: list[str] = []
    while True:
        try:
            probed = await _probe(asker, config, fields)
            break
        except RequestError as failure:
            words = str(failure)
            fewer = None if failure.trouble else fields.less_named(words)
            if fewer is None and not failure.trouble and "HTTP 4" in words and fields.sent:
                unnamed.append(fields.sent[0])
                fewer = fields.without(fields.sent[0])
            if fewer is None:
                first = words
                raise InputError(f"--url {asker.url}: it cannot serve: {first}") from None
            fields = fewer
    for name in unnamed[:-1]:  # the last was the one that it minded
        try:
            probed = await _probe(asker, config, fields.again(name))
            fields = fields.again(name)
        except RequestError:
            continue
    return fields, probed


async def _probe(
    asker: Asker, config: RunConfig, fields: Fields, prompt: Prompt | None = None
) -> Probed:
    if prompt is None:
        chat: Prompt = [{"role": "user", "content": HELLO}]
        prompt = chat if config.endpoint == "chat" else HELLO
    return await asker.stream(config.endpoint, fields.body(prompt, PROBE_TOKENS, "hello"))


async def prompt_tokens(asker: Asker, config: RunConfig, met: Met, text: str) -> int | None:
    """How many tokens the server makes of a text as a prompt; None: it does not tell."""
    chat: Prompt = [{"role": "user", "content": text}]
    prompt = chat if config.endpoint == "chat" else text
    try:
        return (await _probe(asker, config, met.manner.fields, prompt)).answer.prompt
    except RequestError:
        return None


async def _version(asker: Asker, name: str) -> str | None:
    """Where a kind of server tells its version."""
    if name == "llama.cpp":
        build = (await asker.get("/props")).get("build_info")
        return str(build) if build and not str(build).endswith("unknown") else None
    path = {"ollama": "/api/version", "tgi": "/info", "sglang": "/get_server_info"}.get(name)
    reply = await asker.get(path or "/version")
    version = reply.get("version")
    return version if isinstance(version, str) else None


async def _try_ids(asker: Asker, config: RunConfig, met: Met) -> None:
    """Whether it takes ids for a prompt."""
    if not met.pool:
        return
    try:
        await _probe(asker, config, met.manner.fields, met.pool[:7])
    except RequestError:
        met.pool = []


async def _pool(asker: Asker, model: str | None, corpus: str) -> list[int]:
    """The ids of a text, a piece at a time: some servers refuse long ones."""
    ids: list[int] = []
    for start in range(0, len(corpus), 20_000):
        text = corpus[start : start + 20_000]
        body = {"model": model, "prompt": text, "content": text, "add_special_tokens": False}
        tokens = (await asker.post("/tokenize", body)).get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(one, int) for one in tokens):
            return ids
        ids += tokens
    return ids


def _notes(met: Met, config: RunConfig) -> list[str]:
    notes = list(known.NOTES.get(met.name, ()))
    sent = met.manner.fields.sent
    if not any(name in sent for name in EXACT):
        notes.append("It refuses to generate past the end of its text: answers may be short.")
    elif met.name == "unknown":
        notes.append("Whether it generates past the end of its text shows in each answer's length.")
    if "temperature" not in sent:
        notes.append("It refuses temperature 0: its sampling is its own.")
    if met.manner.by == "estimate":
        notes.append("It does not count tokens: they are estimated (~).")
    most = config.prompt_toks + config.gen_toks
    if met.context is not None and config.prompts is None and most > met.context:
        notes.append(
            f"Prompt and output make {most:,} tokens, its context {met.context:,}: "
            + (
                "answers are cut."
                if config.prompt_toks < met.context
                else "no such prompt goes in whole."
            )
        )
    return notes
