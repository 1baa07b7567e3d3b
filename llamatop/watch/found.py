"""Servers that answer on this machine's usual ports, and where `LLAMATOP_SERVERS` says.

Asked within a second, without a key, each once, and nothing that would wake one that sleeps. Each
is known by what it answers. Knows no screen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llamatop.engines.server.identity import (
    FIRST,
    MORE,
    Identity,
    identity,
    is_server,
    next_paths,
)
from llamatop.engines.server.known import Reply
from llamatop.errors import InputError
from llamatop.figures.vocabulary import GAUGES
from llamatop.settings.servers import base_url
from llamatop.watch.asking import Asking, UnansweredError
from llamatop.watch.page import PageError, Pages
from llamatop.watch.server import TEXT

PORTS = (8000, 8080, 30000, 11434, 1234, 8888)
"""Where vLLM, llama.cpp, SGLang, Ollama, LM Studio and others listen unless told otherwise."""

VARIABLE = "LLAMATOP_SERVERS"

SECONDS = 0.9
"""The whole search takes no longer."""


@dataclass(frozen=True, slots=True)
class Found:
    """A server that answers."""

    url: str
    identity: Identity
    running: float | None = None
    waiting: float | None = None
    needs_key: bool = False


def addresses(environment: Mapping[str, str]) -> list[str]:
    """Where to look, in order, each once; those of the variable that cannot be are left out."""
    named = []
    for text in environment.get(VARIABLE, "").split():
        try:
            named.append(base_url(text))
        except InputError:
            continue
    return list(dict.fromkeys([*named, *(f"http://127.0.0.1:{port}" for port in PORTS)]))


def find(where: Sequence[str], seconds: float = SECONDS) -> list[Found]:
    """The servers that answer there in time, in the order of the addresses."""
    found: dict[str, Found] = {}
    until = time.monotonic() + seconds

    def look(url: str) -> None:
        if (one := _look(url, until)) is not None:
            found[url] = one

    threads = [threading.Thread(target=look, args=(url,), daemon=True) for url in where]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    return [found[url] for url in where if url in found]


def _look(url: str, until: float) -> Found | None:
    """One that serves language models; None where nothing does in time."""
    asking = Asking(url)
    answers: dict[str, Reply] = {}
    try:
        for path in (FIRST, *MORE["ollama"]):
            answers[path] = _ask(asking, path, until)
            if is_server(answers):
                break
        else:
            return None
        while paths := next_paths(answers):
            answers.update((path, _ask(asking, path, until)) for path in paths)
        known = Found(url, identity(answers), needs_key=answers[FIRST].status in (401, 403))
        return known if _sleeps(answers) else _loaded(known, asking, until)
    except UnansweredError:
        return Found(url, identity(answers)) if is_server(answers) else None
    finally:
        asking.close()


def _ask(asking: Asking, path: str, until: float) -> Reply:
    rest = until - time.monotonic()
    if rest <= 0:
        raise UnansweredError("no answer in time")
    return asking.get(path, seconds=rest)


def _sleeps(answers: Mapping[str, Reply]) -> bool:
    """llama.cpp that has put its model away, and would load it again for its metrics."""
    props = answers["/props"].json if "/props" in answers else None
    return isinstance(props, dict) and props.get("is_sleeping") is True


def _loaded(known: Found, asking: Asking, until: float) -> Found:
    """With what runs and waits, where it tells that."""
    if known.identity.name == "ollama" or known.needs_key:
        return known
    try:
        answer = asking.get("/metrics", TEXT, max(until - time.monotonic(), 0.01))
        told = Pages().read(answer.body.decode("utf-8", "replace")) if answer.status == 200 else {}
    except (UnansweredError, PageError):
        return known
    gauges = [changes.gauges for changes in told.values()]
    return replace(known, running=_total(gauges, "running"), waiting=_total(gauges, "waiting"))


def _total(replicas: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    values = [one.get(metric) for one in replicas for metric in GAUGES[name]]
    known = [value for value in values if value is not None]
    return sum(known) if known else None
