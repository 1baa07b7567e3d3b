"""What a server is, told by what it answers and never by its port.

Pure: whoever asks brings the answers, by path. No path here wakes a model or needs work of the
server. Knows no socket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FIRST = "/v1/models"

REST = (
    "/version",
    "/api/ps",
    "/get_server_info",
    "/info",
    "/health/liveliness",
    "/api/v0/models",
)
"""What is asked where the list of models does not tell who answers."""

MORE: dict[str, tuple[str, ...]] = {
    "llama.cpp": ("/props",),
    "vllm": ("/version",),
    "max": ("/version",),
    "ollama": ("/api/version", "/api/ps"),
    "sglang": ("/get_server_info",),
    "unknown": REST,
}
"""What is asked of each for its version and its context."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a GET."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, where it is a good answer in JSON; else None."""
        try:
            return json.loads(self.body) if self.status == 200 else None
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Identity:
    """Name as in `--json`, and what else the server told; None: it did not."""

    name: str
    version: str | None = None
    model: str | None = None
    """The only one that it lists, or has loaded."""
    context: int | None = None
    """Longest prompt and output together, in tokens."""
    models: tuple[str, ...] = field(default=())
    """All that it lists."""


def identity(answers: Mapping[str, Answer], metrics: str = "") -> Identity:
    """Who gave these answers, by path; `metrics` is its page of metrics where that was read.

    `unknown` where it speaks the protocol and is none of those that are known.
    """
    listed = _listed(answers)
    told = _Told(answers, metrics, listed)
    found = (known for kind in _KINDS if (known := kind(told)) is not None)
    known = next(found, Identity("unknown", told.version))
    names = tuple(str(one.get("id", "")) for one in listed)
    model = known.model or (names[0] if len(names) == 1 and known.name != "ollama" else None)
    context = known.context or _context(listed, model)
    return replace(known, model=model, context=context, models=names)


def next_paths(answers: Mapping[str, Answer], metrics: str = "") -> tuple[str, ...]:
    """What is worth asking next; nothing where all that there is to know is known."""
    if FIRST not in answers:
        return (FIRST,)
    more = MORE.get(identity(answers, metrics).name, ())
    return tuple(path for path in more if path not in answers)


def is_server(answers: Mapping[str, Answer]) -> bool:
    """Whether something that serves language models gave these answers."""
    models, ollama = answers.get("/v1/models"), _object(answers, "/api/version")
    if ollama.get("version"):
        return True
    if models is None:
        return False
    if models.status in (401, 403, 503):
        return b"error" in models.body or b"detail" in models.body
    return isinstance(models.json, dict) and isinstance(models.json.get("data"), list)


@dataclass(frozen=True, slots=True)
class _Told:
    """All that a server told, and what every kind looks at."""

    answers: Mapping[str, Answer]
    metrics: str
    listed: list[dict[str, Any]]

    @property
    def owners(self) -> set[str]:
        return {str(one.get("owned_by", "")).lower() for one in self.listed}

    @property
    def version(self) -> str | None:
        return _text(self.object("/version").get("version"))

    def object(self, path: str) -> dict[str, Any]:
        return _object(self.answers, path)

    def banner(self, path: str = FIRST) -> str:
        answer = self.answers.get(path, _NONE)
        return answer.headers.get("server", "")


def _llamacpp(told: _Told) -> Identity | None:
    said = {told.banner(path) for path in told.answers}
    if "llama.cpp" not in said and "llamacpp" not in told.owners:
        return None
    props = told.object("/props")
    build = re.match(r"b([1-9]\d*)", str(props.get("build_info", "")))
    context = _whole(_dict(props, "default_generation_settings").get("n_ctx"))
    return Identity("llama.cpp", build.group() if build else None, context=context)


def _ollama(told: _Told) -> Identity | None:
    version, loaded = told.object("/api/version").get("version"), told.object("/api/ps")
    if not version and "models" not in loaded:
        return None
    models = loaded.get("models")
    models = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    only = models[0] if len(models) == 1 else {}
    return Identity(
        "ollama", _text(version), _text(only.get("name")), _whole(only.get("context_length"))
    )


def _sglang(told: _Told) -> Identity | None:
    server = told.object("/get_server_info")
    named = "sglang" in told.owners or "\nsglang:" in told.metrics
    if "model_path" not in server and not named:
        return None
    model = _text(server.get("served_model_name") or server.get("model_path"))
    return Identity(
        "sglang", _text(server.get("version")), model, _whole(server.get("context_length"))
    )


def _ray(told: _Told) -> Identity | None:
    one = any("max_request_context_length" in _dict(one, "metadata") for one in told.listed)
    return Identity("ray", told.version) if one or "\nray_vllm_" in told.metrics else None


def _vllm(told: _Told) -> Identity | None:
    named = "vllm" in told.owners or "\nvllm:" in told.metrics
    return Identity("vllm", told.version) if named else None


def _tgi(told: _Told) -> Identity | None:
    info = told.object("/info")
    if "max_total_tokens" not in info or "model_id" not in info:
        return None
    version, model = _text(info.get("version")), _text(info["model_id"])
    return Identity("tgi", version, model, _whole(info["max_total_tokens"]))


def _litellm(told: _Told) -> Identity | None:
    alive = told.answers.get("/health/liveliness", _NONE).body.strip()
    return Identity("litellm") if alive == b'"I\'m alive!"' else None


def _lmstudio(told: _Told) -> Identity | None:
    return Identity("lmstudio") if "data" in told.object("/api/v0/models") else None


def _trtllm(told: _Told) -> Identity | None:
    named = "tensorrt_llm" in told.owners or "trtllm_" in told.metrics
    return Identity("trtllm", told.version) if named else None


def _max(told: _Told) -> Identity | None:
    named = any("shutdown_date" in one and "max_model_len" in one for one in told.listed)
    return Identity("max", told.version) if named else None


def _mistral(told: _Told) -> Identity | None:
    return Identity("mistral.rs") if told.owners == {"local"} else None


def _mlx(told: _Told) -> Identity | None:
    return Identity("mlx") if told.banner().startswith("BaseHTTP") and told.listed else None


def _transformers(told: _Told) -> Identity | None:
    """It lists models with their time in fractions of a second."""
    traced = "x-request-id" in told.answers.get(FIRST, _NONE).headers
    fractions = any(isinstance(one.get("created"), float) for one in told.listed)
    return Identity("transformers") if traced and fractions else None


_KINDS: tuple[Callable[[_Told], Identity | None], ...] = (
    _llamacpp,
    _ollama,
    _sglang,
    _ray,
    _vllm,
    _tgi,
    _litellm,
    _lmstudio,
    _trtllm,
    _max,
    _mistral,
    _mlx,
    _transformers,
)
"""The surest first; each says None where it is another."""


def _listed(answers: Mapping[str, Answer]) -> list[dict[str, Any]]:
    data = _object(answers, "/v1/models").get("data")
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def _context(listed: list[dict[str, Any]], model: str | None) -> int | None:
    one = next((one for one in listed if one.get("id") == model), {})
    told = (
        one.get("max_model_len"),
        _dict(one, "meta").get("n_ctx"),
        _dict(one, "metadata").get("max_request_context_length"),
    )
    return next((_whole(value) for value in told if _whole(value)), None)


_NONE = Answer(0, {}, b"")


def _object(answers: Mapping[str, Answer], path: str) -> dict[str, Any]:
    found = answers.get(path, _NONE).json
    return found if isinstance(found, dict) else {}


def _dict(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
