"""What a level's requests to servers add to its figures: how tokens were counted, what was sent
again, and whether the client kept its own schedule.

Pure, as all figures. What no server told is None; a request that was served in process says nothing
here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

import msgspec

from llamatop.events.clock import SECOND
from llamatop.events.kinds import HostSampled
from llamatop.figures.stats import Distribution, distribution
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request

LATE = 0.005
"""Seconds by which a client may be late or lag (p99) before it is what was measured."""

LATE_SHARE = 0.05
"""The same as a share of TTFT p50, where that is more."""

_PROVISIONAL = ("usage", "estimate")
"""Ways of counting in which a request that runs is counted by its events until it ends."""

_OF_LATE = 240
"""Samples of the machine in which a server's processes must have been seen: two minutes."""


class Client(msgspec.Struct, frozen=True):
    """How well the client kept its schedule; seconds, None: nothing was sampled."""

    late: Distribution | None
    """How long after a request could have been sent it was."""
    lag: Distribution | None
    """How late the event loop woke."""

    @property
    def worst(self) -> float:
        """The larger of both p99."""
        return max((one.p99 for one in (self.late, self.lag) if one is not None), default=0.0)


class ServedFigures(msgspec.Struct, frozen=True):
    """One level on servers. Requests, tokens, seconds."""

    short: int
    """Requests that ended well with fewer tokens than were asked for."""
    resent: int
    """Requests whose connection was lost before any answer, sent once more."""
    estimated_tokens: int
    """Output tokens that no server counted."""
    reasoning_tokens: int | None
    cached_prompt_tokens: int | None
    ttfa: Distribution | None
    """Time to the first token that is no reasoning, of those that reasoned."""
    client: Client
    weights_kv_bytes: int | None = None
    """What was foretold of weights and of the keys and values of the requests asked for."""


def on_servers(session: Session) -> bool:
    """Whether a run drives servers."""
    return session.started is not None and session.started.config.engine == "server"


def server_bytes(session: Session) -> int | None:
    """What the servers' processes held last; None: they were not seen on this machine of late."""
    newest = islice(reversed(session.host), _OF_LATE)
    return next((one.server_bytes for one in newest if one.server_bytes is not None), None)


def loading_seconds(session: Session) -> float | None:
    """From the start of the server that the run started until it served; None: it has not."""
    if session.serving is None or session.ready is None:
        return None
    return (session.ready.time - session.serving.time) / SECOND


def loading_peak(session: Session) -> int | None:
    """Most bytes that its processes were seen to hold until it served, or until now."""
    if session.serving is None:
        return None
    end = session.ready.time if session.ready is not None else session.now
    before = (one.server_bytes for one in session.host if one.time <= end)
    return max((size for size in before if size is not None), default=None)


def server_device_bytes(session: Session) -> int | None:
    """What they held of accelerators last; None: no driver told of late."""
    newest = islice(reversed(session.host), _OF_LATE)
    return next((s.server_device_bytes for s in newest if s.server_device_bytes is not None), None)


def held(session: Session) -> Callable[[HostSampled], int | None]:
    """Of a sample the bytes of the processes that hold the model, never of a server's client."""
    return attrgetter("server_bytes" if on_servers(session) else "engine_bytes")


def served_figures(session: Session, level: Level) -> ServedFigures | None:
    """Those of a level's measured requests; None where the engine is in process."""
    if not on_servers(session):
        return None
    requests = level.requests
    done = [request for request in requests if request.state == "done"]
    return ServedFigures(
        short=sum(request.short for request in done),
        resent=sum(request.served is not None and request.served.resent for request in requests),
        estimated_tokens=sum(r.tokens for r in requests if is_estimated(session, r)),
        reasoning_tokens=_told(done, "reasoning"),
        cached_prompt_tokens=_told(done, "cached"),
        ttfa=distribution(value for r in done if (value := ttfa(r)) is not None),
        client=client(session, level, requests),
        weights_kv_bytes=_foretold(session, level),
    )


def _foretold(session: Session, level: Level) -> int | None:
    """Of a server that the run started: weights, and keys and values."""
    told = session.predicted.get(level.id)
    return sum(told.parts.values()) if told is not None and told.host_bytes is None else None


def is_estimated(session: Session, request: Request) -> bool:
    """Whether its tokens so far are a guess: no server has counted them."""
    served = request.served
    if served is None or not request.tokens:
        return False
    if served.by is not None:
        return not served.counted or served.by == "estimate"
    known = session.servers.get(served.server)
    return known is None or known.tokens_by in _PROVISIONAL


def is_provisional(session: Session) -> bool:
    """Whether tokens of requests in flight are counted by events that may hold several."""
    return any(server.tokens_by in _PROVISIONAL for server in session.servers.values())


def ttfa(request: Request) -> float | None:
    """Time to first answer: seconds from scheduled to the first token after reasoning.

    None where it did not reason, or did nothing else.
    """
    served = request.served
    answer = None if served is None else served.reached.get("answer")
    if served is None or answer is None or not request.times:
        return None
    reasoned = served.reasoning or answer > request.times[0]
    return (answer - request.scheduled) / SECOND if reasoned else None


def client(session: Session, level: Level, requests: Sequence[Request]) -> Client:
    """How late some requests of a level left, and the lag of the client's loop meanwhile."""
    late = distribution(value for r in requests if (value := sent_late(r)) is not None)
    start = level.started if level.joined is None else level.joined
    return Client(late, distribution(client_lags(session, start, level.ended)))


def sent_late(request: Request) -> float | None:
    """Seconds from when it could have been sent to when it was; None if it went to no server."""
    served = request.served
    return None if served is None else (served.sent - served.due) / SECOND


def client_lags(session: Session, start: int, end: int | None) -> Iterator[float]:
    """Seconds by which the client's loop woke late, each time from `start` to `end` (ns).

    The newest first.
    """
    time, samples = attrgetter("time"), session.client
    first = bisect_left(samples, start, key=time)
    last = len(samples) if end is None else bisect_right(samples, end, key=time)
    newest = (samples[place] for place in range(last - 1, first - 1, -1))
    return (lag / SECOND for sample in newest for lag in reversed(sample.lags))


def client_bound(client: Client, ttft: Distribution | None) -> bool:
    """Whether the client was so late that it, and not the server, is what was measured."""
    allowed = max(LATE, LATE_SHARE * ttft.p50 if ttft is not None else 0.0)
    return client.worst > allowed


def _told(requests: Iterable[Request], what: str) -> int | None:
    """The sum of what servers told of each; None where one did not tell."""
    values: list[int | None] = [getattr(request.served, what, None) for request in requests]
    known = [value for value in values if value is not None]
    return sum(known) if values and len(known) == len(values) else None
