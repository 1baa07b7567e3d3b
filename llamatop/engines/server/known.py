"""What a server is, by what it answers: pure functions of replies. Asks nothing itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one look at a server; status 0: no answer, and `body` says why."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def get(self, name: str) -> Any:
        """A field of a JSON object; None where there is none."""
        value = self.json
        return value.get(name) if self.status == 200 and isinstance(value, dict) else None


_OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama.cpp",
    "tensorrt_llm": "trtllm",
    "library": "ollama",
    "organization_owner": "lmstudio",
    "local": "mistral.rs",
}
"""`owned_by` in a list of models, of those that say something of their own."""

_VERSIONED = re.compile(r"\d+(\.\d+)+")
"""How MLX's fingerprint of a system begins; other servers on Python's own have none such."""

HEALTHY_AT = {
    "vllm": "/health",
    "llama.cpp": "/health",
    "transformers": "/health",
    "mlx": "/health",
    "max": "/health",
    "sglang": "/health",
    "trtllm": "/health",
    "tgi": "/health",
}
"""Where these tell whether they work; LiteLLM's `/health` calls every model, and is not asked."""


def models_of(reply: Reply) -> list[dict[str, Any]]:
    """The models that a server lists; none where it does not."""
    listed = reply.get("data")
    if not isinstance(listed, list):
        return []
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]


def name_by_models(reply: Reply) -> str:
    """What a server is, by its list of models and its headers; else `unknown`."""
    server = reply.headers.get("server", "")
    models = models_of(reply)
    first: dict[str, Any] = models[0] if models else {}
    metadata = first.get("metadata")
    signs = {
        "llama.cpp": "llama.cpp" in server,
        "mlx": server.startswith("BaseHTTP") and bool(models) and "owned_by" not in first,
        "ray": isinstance(metadata, dict) and "model_id" in metadata,
        "max": "shutdown_date" in first and "max_model_len" in first,
        "litellm": first.get("created") == 1677610602,  # its constant, for every model
    }
    signed = next((name for name, sign in signs.items() if sign), None)
    return signed or _OWNERS.get(str(first.get("owned_by")), "unknown")


def name_by_answer(headers: dict[str, str], event: dict[str, Any]) -> str:
    """What a server is, by the headers and the first event of an answer; else `unknown`."""
    fingerprint, model = str(event.get("system_fingerprint") or ""), str(event.get("model"))
    if any(name.startswith("x-litellm") for name in headers):
        return "litellm"
    if headers.get("server", "").startswith("BaseHTTP") and _VERSIONED.match(fingerprint):
        return "mlx"
    if fingerprint.startswith("vllm-"):
        return "vllm"
    if fingerprint.startswith("fp_ollama"):
        return "ollama"
    if model.endswith("@main"):
        return "transformers"
    return "unknown"


def context_of(models: list[dict[str, Any]], model: str | None) -> int | None:
    """Longest prompt and output together, in tokens, where a list of models tells it."""
    mine = next((one for one in models if one["id"] == model), None)
    mine = mine or (models[0] if len(models) == 1 else {})
    meta, metadata = mine.get("meta"), mine.get("metadata")
    found = (
        mine.get("max_model_len"),
        meta.get("n_ctx") if isinstance(meta, dict) else None,
        metadata.get("max_request_context_length") if isinstance(metadata, dict) else None,
        mine.get("max_input_tokens"),
    )
    return next((one for one in found if isinstance(one, int) and one > 0), None)


def version_by_answer(name: str, headers: dict[str, str], event: dict[str, Any]) -> str | None:
    """The version of a server that tells it with its answers only."""
    if name == "litellm":
        return headers.get("x-litellm-version")
    fingerprint = str(event.get("system_fingerprint") or "")
    if name == "mlx" and (found := _VERSIONED.match(fingerprint)):
        return found.group()
    return None


NOTES: dict[str, tuple[str, ...]] = {
    "llama.cpp": (
        "It closes the connection after every streamed answer: each request opens one.",
        "Its status line comes when a slot takes the request: time to it is queue.",
        "A request that is cancelled in its prefill is computed to the prefill's end.",
        "All slots share one context: a full one can end requests that run.",
    ),
    "transformers": (
        "Its prefix cache cannot be switched off; prompts differ from their first token on.",
        "It keeps the sampling of its first request for all later ones.",
        "It does not check its context.",
    ),
    "mlx": (
        "It looks for new requests every 0.5 s while anything decodes: that is its queue.",
        "It cannot be told to generate past the end of its text: answers may be short.",
        "A request that is cancelled in its prefill is computed to the prefill's end.",
        "It sends several tokens at once: gaps between tokens are those between its events.",
    ),
    "litellm": (
        "A proxy: it sends refused requests again by itself, and tells a stream that was cut "
        "as complete; fewer tokens than asked is the only sign.",
        "It sends several events at once: short gaps cannot be seen.",
    ),
    "ray": ("It joins events every 50 ms: shorter gaps cannot be seen.",),
    "ollama": ("It cannot be told to generate an exact number of tokens: answers may be short.",),
    "tgi": ("It cannot be told to generate an exact number of tokens: answers may be short.",),
    "max": ("It stops at its context without a word.",),
}
"""What a kind of server does to the figures, a sentence each."""
