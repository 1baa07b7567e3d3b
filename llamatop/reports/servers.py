"""What a summary says of servers and of the client that drove them. Computes no figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamatop.events.kinds import ServerKnown
from llamatop.events.sanitize import one_line
from llamatop.figures.served import (
    Client,
    ServedFigures,
    client_bound,
    loading_peak,
    loading_seconds,
    on_servers,
)
from llamatop.figures.stats import spread_json
from llamatop.session.reducer import Session
from llamatop.settings.servers import host_of
from llamatop.text.formatting import count, duration, size

if TYPE_CHECKING:
    from llamatop.figures.levels import LevelFigures

ROUGH = "~"
"""Before every figure that rests on tokens that nobody counted."""

NOT_HERE = "N/A: the server holds the model, and no process of it was seen on this machine"

CLIENT = "the client, not the server, is what was measured here"
"""Said where the client was later than its figures allow."""

_COUNTED = {
    "token_ids": "tokens counted by id",
    "continuous": "tokens counted by the server as they come",
    "timings": "tokens counted by the server as they come",
    "usage": "tokens counted by the server at the end",
    "estimate": "tokens estimated",
}

_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "do_sample", "mirostat",
    "presence_penalty", "frequency_penalty", "repetition_penalty", "repeat_penalty",
    "generation_config",
)  # fmt: skip
"""Fields of a body that change which tokens come."""


def servers_json(session: Session) -> dict[str, Any]:
    """`server` of the JSON object; nothing for a run in process."""
    if not on_servers(session):
        return {}
    return {
        "server": [_server_json(one) for _, one in sorted(session.servers.items())],
        "serve": _serve_json(session),
    }


def _serve_json(session: Session) -> dict[str, Any] | None:
    """Of the server that the run started: seconds, bytes."""
    if session.serving is None:
        return None
    return {
        "command": session.serving.command,
        "loading_s": loading_seconds(session),
        "loading_peak_bytes": loading_peak(session),
    }


def ready_text(session: Session) -> str:
    """How the server that the run started came to serve, in a line."""
    peak = loading_peak(session)
    memory = f", {size(peak)} in its processes" if peak is not None else ""
    return f"the server was ready after {duration(loading_seconds(session))}{memory}"


def _server_json(one: ServerKnown) -> dict[str, Any]:
    names = ("url", "name", "version", "model", "context", "tokens_by")
    return {**{name: getattr(one, name) for name in names}, "notes": list(one.notes)}


def served_json(served: ServedFigures | None) -> dict[str, Any]:
    """What a level of the JSON object has more than one in process."""
    if served is None:
        return {}
    late, lag = served.client.late, served.client.lag
    return {
        "short": served.short,
        "resent": served.resent,
        "estimated_tokens": served.estimated_tokens,
        "reasoning_tokens": served.reasoning_tokens,
        "cached_prompt_tokens": served.cached_prompt_tokens,
        "ttfa_s": spread_json(served.ttfa),
        "weights_kv_bytes": served.weights_kv_bytes,
        "client": {
            "late_s_p99": late.p99 if late else None,
            "lag_s_p99": lag.p99 if lag else None,
        },
    }


def served_rows(figures: LevelFigures) -> list[tuple[str, str]]:
    """The same in words, a name and a value each; only what is worth a line."""
    served = figures.served
    if served is None:
        return []
    parts = [
        _some(served.short, "ended with fewer tokens than asked"),
        _some(served.resent, "sent again after a lost connection"),
    ]
    tokens = [
        _some(served.estimated_tokens, "estimated: no server counted them"),
        _some(served.reasoning_tokens, "of reasoning"),
        _some(served.cached_prompt_tokens, "of prompts from a cache"),
    ]
    rows = [("of these", _listed(parts)), ("tokens", _listed(tokens))]
    rows.append(("client", client_words(served.client)))
    if is_client_bound(figures):
        rows.append(("", f"{CLIENT}: fewer requests, or more --client-processes"))
    return [(name, words) for name, words in rows if words]


def is_client_bound(figures: LevelFigures) -> bool:
    """Whether a level measured its client."""
    return figures.served is not None and client_bound(figures.served.client, figures.ttft)


def _listed(parts: list[str]) -> str:
    return ", ".join(filter(None, parts))


def client_words(client: Client) -> str:
    """How late it sent, and how late its loop woke."""
    late, lag = client.late, client.lag
    return _listed(
        [
            f"sent {duration(late.p99)} late (p99)" if late else "",
            f"its loop lagged {duration(lag.p99)} (p99)" if lag else "",
        ]
    )


def _some(number: int | None, words: str) -> str:
    return f"{number:,} {words}" if number else ""


def server_headline(session: Session) -> str:
    """What ran where, in one line."""
    known = [one for _, one in sorted(session.servers.items())]
    endpoint = session.started.config.endpoint if session.started else ""
    places = ", ".join(f"{server_name(one)} at {host_of(one.url)}" for one in known)
    return ", ".join([one_line(session.model_name), places or "no server known", endpoint])


def server_name(one: ServerKnown) -> str:
    """`llama.cpp b11549`; what is not known of it is left out."""
    name = "a server" if one.name == "unknown" else one.name
    return one_line(f"{name} {one.version}" if one.version else name)


def server_lines(session: Session) -> list[str]:
    """What each server is and cannot do, a line each; what several share once."""
    told: dict[str, None] = {}
    for _, one in sorted(session.servers.items()):
        context = f"context {one.context:,}" if one.context else "context not told"
        told[f"{server_name(one)}: {context}, {_COUNTED[one.tokens_by]}"] = None
        told |= dict.fromkeys(_notes(one))
    return list(told)


def server_notes(session: Session) -> list[str]:
    """What servers cannot do, and what should be known before anything is sent; each once."""
    known = (one for _, one in sorted(session.servers.items()))
    return list(dict.fromkeys(note for one in known for note in _notes(one)))


def _notes(one: ServerKnown) -> list[str]:
    return [f"  {one_line(note)}" for note in one.notes]


def server_setup(session: Session) -> dict[str, str]:
    """What was driven and how, by name, for a comparison."""
    if not on_servers(session) or session.started is None:
        return {}
    known = [one for _, one in sorted(session.servers.items())]
    facts = {
        "server": _each(one.name for one in known),
        "server version": _each(one.version or "" for one in known),
        "host": "" if session.serving else _each(host_of(one.url) for one in known),
        "endpoint": session.started.config.endpoint,
        "context": _each(count(one.context) if one.context else "" for one in known),
        "sampling sent": _each(sampling(one.sent) for one in known),
        "tokens by": _each(one.tokens_by for one in known),
    }
    return {name: one_line(value) for name, value in facts.items() if value}


def _each(values: Any) -> str:
    """What several servers have, each once."""
    return ", ".join(dict.fromkeys(value for value in values if value))


def sampling(sent: str) -> str:
    """The settings of a body that change which tokens come: `temperature 0`."""
    import json  # noqa: PLC0415  (not for the first paint)

    try:
        body = json.loads(sent) if sent else None
    except ValueError:
        return "not known"
    if not isinstance(body, dict):
        return "not known" if sent else ""
    told = [f"{name} {value}" for name in _SAMPLING if (value := _plain(name, body)) is not None]
    return " ".join(told) or "as the server has it"


def _plain(name: str, body: dict[str, Any]) -> Any:
    """A field's value; of a generation config (JSON in a text) what is not about its end."""
    import json  # noqa: PLC0415  (not for the first paint)

    value = body.get(name)
    if name != "generation_config" or not isinstance(value, str):
        return value
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    inner.pop("eos_token_id", None)
    return json.dumps(inner, sort_keys=True) if inner else None
