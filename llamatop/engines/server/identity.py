"""Who answers at an address, from GETs alone: name, version, model, context. Never by the port.

Pure: whoever asks brings the replies, by path. No path here wakes a model or needs work of the
server. What a list of models tells is `known`'s. Knows no socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llamatop.engines.server.known import Reply, context_of, models_of, name_by_models

FIRST = "/v1/models"

MORE: dict[str, tuple[str, ...]] = {
    "llama.cpp": ("/props",),
    "vllm": ("/version",),
    "max": ("/version",),
    "ollama": ("/api/version", "/api/ps"),
    "sglang": ("/get_server_info",),
    "unknown": (
        "/version",
        "/api/version",
        "/api/ps",
        "/get_server_info",
        "/info",
        "/health/liveliness",
        "/api/v0/models",
    ),
}
"""What is asked of each for its version and its context; of one that its models do not tell,
everything by which another is known."""

_NONE = Reply(0)

Replies = Mapping[str, Reply]


@dataclass(frozen=True, slots=True)
class Identity:
    """Name as in `--json`, and what else the server told; None: it did not."""

    name: str
    version: str | None = None
    model: str | None = None
    """The only one that it lists, or has loaded."""
    context: int | None = None
    """Longest prompt and output together, in tokens."""


def identity(replies: Replies, metrics: str = "") -> Identity:
    """Who gave these replies; `metrics` is its page of metrics where that was read.

    `unknown` where it speaks the protocol and is none of those that are known.
    """
    listed = models_of(replies.get(FIRST, _NONE))
    name = name_by_models(replies.get(FIRST, _NONE))
    found = _TELLING[name](replies) if name in _TELLING else None
    others = (one for tell in _BY_PATHS if (one := tell(replies)) is not None)
    if found is None and name == "unknown":
        found = next(others, None) or Identity(name_by_metrics(metrics))
    known = found or Identity(name)
    version = known.version or _text(replies.get("/version", _NONE).get("version"))
    alone = str(listed[0]["id"]) if len(listed) == 1 and known.name != "ollama" else None
    model = known.model or alone
    context = known.context or context_of(listed, model)
    return replace(known, version=version, model=model, context=context)


def next_paths(replies: Replies, metrics: str = "") -> tuple[str, ...]:
    """What is worth asking next; nothing where all that there is to know is known."""
    if FIRST not in replies:
        return (FIRST,)
    more = MORE.get(identity(replies, metrics).name, ())
    return tuple(path for path in more if path not in replies)


def is_server(replies: Replies) -> bool:
    """Whether something that serves language models gave these replies."""
    if replies.get("/api/version", _NONE).get("version"):
        return True
    models = replies.get(FIRST, _NONE)
    if models.status in (401, 403, 503):
        return b"error" in models.body or b"detail" in models.body
    return isinstance(models.get("data"), list)


def name_by_metrics(metrics: str) -> str:
    """Of one that lists no models, as a node's own metrics port; else `unknown`."""
    signs = {"\nray_vllm_": "ray", "\nvllm:": "vllm", "\nsglang:": "sglang",
             "\nllamacpp:": "llama.cpp", "\ntrtllm_": "trtllm"}  # fmt: skip
    return next((name for sign, name in signs.items() if sign in f"\n{metrics}"), "unknown")


def _llamacpp(replies: Replies) -> Identity:
    props = replies.get("/props", _NONE)
    build = re.match(r"b([1-9]\d*)", str(props.get("build_info") or ""))
    settings = props.get("default_generation_settings")
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    return Identity("llama.cpp", build.group() if build else None, context=_whole(context))


def _ollama(replies: Replies) -> Identity | None:
    version, loaded = replies.get("/api/version", _NONE), replies.get("/api/ps", _NONE)
    models = loaded.get("models")
    if not version.get("version") and not isinstance(models, list):
        return None
    models = [one for one in models or () if isinstance(one, dict)]
    only: dict[str, Any] = models[0] if len(models) == 1 else {}
    told = _text(version.get("version")), _text(only.get("name")), only.get("context_length")
    return Identity("ollama", *told[:2], _whole(told[2]))


def _sglang(replies: Replies) -> Identity | None:
    server = replies.get("/get_server_info", _NONE)
    if server.get("model_path") is None:
        return None
    model = _text(server.get("served_model_name")) or _text(server.get("model_path"))
    return Identity(
        "sglang", _text(server.get("version")), model, _whole(server.get("context_length"))
    )


def _tgi(replies: Replies) -> Identity | None:
    info = replies.get("/info", _NONE)
    most, model = _whole(info.get("max_total_tokens")), _text(info.get("model_id"))
    if most is None or model is None:
        return None
    return Identity("tgi", _text(info.get("version")), model, most)


def _litellm(replies: Replies) -> Identity | None:
    alive = replies.get("/health/liveliness", _NONE).body.strip()
    return Identity("litellm") if alive == b'"I\'m alive!"' else None


def _lmstudio(replies: Replies) -> Identity | None:
    data = replies.get("/api/v0/models", _NONE).get("data")
    return Identity("lmstudio") if isinstance(data, list) else None


def _transformers(replies: Replies) -> Identity | None:
    """It lists models with their time in fractions of a second."""
    models = replies.get(FIRST, _NONE)
    fractions = any(isinstance(one.get("created"), float) for one in models_of(models))
    return Identity("transformers") if "x-request-id" in models.headers and fractions else None


_TELLING: dict[str, Callable[[Replies], Identity | None]] = {
    "llama.cpp": _llamacpp,
    "ollama": _ollama,
    "sglang": _sglang,
}
"""Those that tell more of themselves than `/version` does."""

_BY_PATHS = (_ollama, _sglang, _tgi, _litellm, _lmstudio, _transformers)
"""By what they answer elsewhere, the surest first; each says None where it is another."""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
