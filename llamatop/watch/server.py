"""One watched server: asked once, told as events. Sends no request. Knows no thread."""

from __future__ import annotations

import json
from collections.abc import Mapping

from llamatop.engines.server.identity import (
    Identity,
    identity,
    name_by_metrics,
    next_paths,
)
from llamatop.engines.server.known import Reply
from llamatop.events.clock import Clock
from llamatop.events.kinds import (
    Event,
    ReplicaSampled,
    ServerSeen,
    ServerStood,
    SlotFacts,
    SlotsSampled,
    Standing,
)
from llamatop.watch.asking import Asking, UnansweredError
from llamatop.watch.page import Changes, PageError, Pages
from llamatop.watch.slots import changed, loaded_of, slots_of

TEXT = "text/plain; version=0.0.4"
"""The format that is asked for: in the newer one a counter and its `_total` clash on real pages."""

_METRICS = ("/metrics", "/prometheus/metrics")

_SAID = 160
"""Characters of what a server said that are kept."""


class WatchedServer:
    """Reads one server; its methods are called by one thread at a time."""

    def __init__(
        self, server: int, url: str, clock: Clock, headers: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self._url = url
        self._clock = clock
        self._asking = Asking(url, headers)
        self._pages = Pages()
        self._slots: dict[int, SlotFacts] = {}
        self._identity: Identity | None = None
        self._path = _METRICS[0]
        self._has_slots = True
        self._stood: tuple[Standing, str] | None = None
        self._loaded: dict[str, dict[str, float]] = {}

    def look(self) -> list[Event]:
        """What there is to tell now; never raises for what a server does."""
        try:
            answer = self._asking.get(self._path, TEXT)
        except UnansweredError as error:
            return self._stand("stale" if error.connected else "down", str(error))
        if answer.status == 503:
            return self._stand("starting", _said(answer))
        try:
            return self._read(answer)
        except UnansweredError as error:
            return self._stand("stale", str(error))
        except Exception as error:  # whatever it sent, the watch goes on
            said = f"what it told could not be understood ({type(error).__name__})"
            return self._stand("stale", said)

    def close(self) -> None:
        """Let its connection go."""
        self._asking.close()

    def _read(self, answer: Reply) -> list[Event]:
        now = self._clock.now()
        text = answer.body.decode("utf-8", "replace") if answer.status == 200 else ""
        events = self._know(text)
        known = self._identity or Identity("unknown")
        if answer.status != 200 and known.name == "trtllm" and self._path == _METRICS[0]:
            self._path = _METRICS[1]
        if known.name == "ollama":
            return [*events, *self._stand("up", ""), *self._ask_loaded()]
        if answer.status != 200:
            slots = self._ask_slots() if known.name == "llama.cpp" else []
            return [*events, *self._stand("no metrics", _no_metrics(answer, known)), *slots]
        try:
            told = self._pages.read(text)
        except PageError as error:
            return [*events, *self._stand("stale", str(error))]
        if not told:
            said = "its metrics page has none that llamatop knows"
            return [*events, *self._stand("no metrics", said)]
        samples = [_sample(now, self.server, name, changes) for name, changes in told.items()]
        slots = self._ask_slots() if known.name == "llama.cpp" else []
        return [*events, *self._stand("up", ""), *samples, *slots]

    def _know(self, metrics: str) -> list[Event]:
        """Find out what it is, when it answers for the first time or again, or tells at last.

        A node's metrics port has none of an engine before that has answered a request.
        """
        before = self._identity
        if before is not None and (
            before.name != "unknown" or name_by_metrics(metrics) == "unknown"
        ):
            return []
        answers: dict[str, Reply] = {}
        while paths := next_paths(answers, metrics):
            answers.update((path, self._asking.get(path)) for path in paths)
        if answers["/v1/models"].status == 503:
            raise UnansweredError("it is still starting")
        self._identity = known = identity(answers, metrics)
        self._has_slots = known.name == "llama.cpp"
        sources = {"llama.cpp": (self._path, "/slots"), "ollama": ("/api/ps",)}
        return [
            ServerSeen(
                self._clock.now(),
                server=self.server,
                url=self._url,
                name=known.name,
                version=known.version,
                model=known.model,
                context=known.context,
                sources=sources.get(known.name, (self._path,)),
            )
        ]

    def _stand(self, state: Standing, said: str) -> list[Event]:
        """How it stands, where that is new. One that was away is asked again what it is."""
        if state in ("down", "starting"):
            self._identity = None
        if self._stood == (state, said):
            return []
        self._stood = state, said
        return [ServerStood(self._clock.now(), self.server, state, said)]

    def _ask_slots(self) -> list[Event]:
        if not self._has_slots:
            return []
        answer = self._asking.get("/slots")
        self._has_slots = answer.status not in (404, 501)
        new = changed(slots_of(answer.json if answer.status == 200 else None), self._slots)
        self._slots.update((slot.id, slot) for slot in new)
        known = answer.status == 200
        return [SlotsSampled(self._clock.now(), self.server, new)] if known else []

    def _ask_loaded(self) -> list[Event]:
        """Ollama's models in memory, each as a replica; one that was unloaded tells no sizes."""
        loaded = loaded_of(self._asking.get("/api/ps").json)
        now, before, self._loaded = self._clock.now(), self._loaded, loaded
        told: dict[str, dict[str, float | None]] = {
            name: dict.fromkeys(sizes) for name, sizes in before.items() if name not in loaded
        }
        told |= {name: {**sizes} for name, sizes in loaded.items()}
        return [
            ReplicaSampled(now, server=self.server, replica=name, gauges=gauges)
            for name, gauges in told.items()
        ]


def _sample(now: int, server: int, replica: str, changes: Changes) -> ReplicaSampled:
    return ReplicaSampled(
        now,
        server=server,
        replica=replica,
        gauges=changes.gauges,
        counters=changes.counters,
        buckets=changes.buckets,
    )


def _no_metrics(answer: Reply, known: Identity) -> str:
    """Why there are none, and what would help."""
    match answer.status, known.name:
        case ((401 | 403), _):
            return "its metrics need a key: --api-key-env NAME"
        case 501, "llama.cpp":
            return "start it with --metrics"
        case _, "ray":
            return "they are on each node's metrics port: --url that"
        case 404, "litellm":
            return "turn its prometheus callback on"
        case 404, "unknown" | "transformers" | "mlx" | "max":
            return "it has none"
    return f"status {answer.status}: {_said(answer)}"


def _said(answer: Reply) -> str:
    """What an answer says in words, JSON or not."""
    text = answer.body[:4096].decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:_SAID]
    for name in ("error", "message", "detail"):
        told = told.get(name, told) if isinstance(told, dict) else told
    return str(told)[:_SAID]
