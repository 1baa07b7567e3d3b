"""Every figure, as a pure function of the raw times in a session. Nothing here is ever stored.

Definitions: latencies count from the scheduled time, so that a stalled engine cannot hide its
queue; tokens are counted, never chunks; warm-up is left out; what cannot be known is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llamatop.clock import SECOND
from llamatop.session import BIN, Level, Request, Session
from llamatop.stats import Distribution, distribution


def queue_time(request: Request) -> float | None:
    """Seconds from scheduled to admitted."""
    return None if request.admitted is None else (request.admitted - request.scheduled) / SECOND


def ttft(request: Request) -> float | None:
    """Time to first token: seconds from scheduled to the first emission."""
    return (request.times[0] - request.scheduled) / SECOND if request.times else None


def e2e(request: Request) -> float | None:
    """End to end: seconds from scheduled to the last emission."""
    return (request.times[-1] - request.scheduled) / SECOND if request.times else None


def tpot(request: Request) -> float | None:
    """Time per output token after the first, in seconds; None for fewer than two tokens."""
    if request.tokens < 2:
        return None
    return (request.times[-1] - request.times[0]) / SECOND / (request.tokens - 1)


def gaps(request: Request) -> Iterator[float]:
    """Inter-token latencies in seconds: an emission of k tokens after a gap g is k gaps of g/k."""
    times, counts = request.times, request.counts
    for i in range(1, len(times)):
        count = counts[i]
        gap = (times[i] - times[i - 1]) / SECOND / count
        for _ in range(count):
            yield gap


def decode_rate(request: Request) -> float | None:
    """Output tokens per second after the first; None before there are two."""
    per_token = tpot(request)
    return 1 / per_token if per_token else None


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """What one level measured. Seconds, bytes, tokens; None where nothing was measured."""

    level: int
    concurrency: int
    outcome: str | None
    error: str
    requests: int
    completed: int
    failed: int
    cancelled: int
    prompt_tokens: int
    output_tokens: int
    duration: float | None
    output_rate: float | None
    """Output tokens per second."""
    steady_rate: float | None
    """Output tokens per second while as many requests as the concurrency were in flight."""
    request_rate: float | None
    """Completed requests per second."""
    goodput: float | None
    """Completed requests per second that met every target; None where there is no target."""
    ttft: Distribution | None
    tpot: Distribution | None
    itl: Distribution | None
    e2e: Distribution | None
    queue: Distribution | None
    coalesced: int
    """Tokens that arrived in an emission of more than one."""
    host_peak_bytes: int | None
    device_peak_bytes: int | None
    baseline_bytes: int | None
    predicted_host_bytes: int | None
    predicted_device_bytes: int | None


def level_figures(session: Session, level: Level) -> LevelFigures:
    """All figures of a level, over its measured requests."""
    requests = level.requests
    done = [request for request in requests if request.state == "done"]
    output = sum(request.tokens for request in requests)
    seconds = duration(requests)
    predicted = session.predicted.get(level.id)
    return LevelFigures(
        level=level.id,
        concurrency=level.concurrency,
        outcome=level.outcome,
        error=level.error,
        requests=len(requests),
        completed=len(done),
        failed=sum(request.state == "failed" for request in requests),
        cancelled=sum(request.state == "cancelled" for request in requests),
        prompt_tokens=sum(request.prompt_tokens for request in requests),
        output_tokens=output,
        duration=seconds,
        output_rate=_per_second(output, seconds),
        steady_rate=steady_rate(requests, level.concurrency),
        request_rate=_per_second(len(done), seconds),
        goodput=_goodput(session, done, seconds),
        ttft=_spread(ttft(request) for request in done),
        tpot=_spread(tpot(request) for request in done),
        itl=distribution(gap for request in done for gap in gaps(request)),
        e2e=_spread(e2e(request) for request in done),
        queue=_spread(queue_time(request) for request in done),
        coalesced=sum(count for request in done for count in request.counts[1:] if count > 1),
        host_peak_bytes=host_peak(session, level),
        device_peak_bytes=level.device_peak_bytes,
        baseline_bytes=baseline(session),
        predicted_host_bytes=predicted.host_bytes if predicted else None,
        predicted_device_bytes=predicted.device_bytes if predicted else None,
    )


def duration(requests: list[Request]) -> float | None:
    """Seconds from the first scheduled time to the last token; None without a token."""
    last = max((request.times[-1] for request in requests if request.times), default=None)
    if last is None:
        return None
    return (last - min(request.scheduled for request in requests)) / SECOND


def steady_rate(requests: list[Request], concurrency: int) -> float | None:
    """Output tokens per second from the first to the last moment at which all slots were in use."""
    admitted = ((request.admitted, 1) for request in requests if request.admitted is not None)
    ended = ((request.ended, -1) for request in requests if request.ended is not None)
    full: list[int] = []
    running = 0
    for time, change in sorted([*admitted, *ended]):
        if concurrency in (running, running + change):
            full.append(time)
        running += change
    if not full or full[-1] <= full[0]:
        return None
    return _tokens_between(requests, full[0], full[-1]) * SECOND / (full[-1] - full[0])


def _tokens_between(requests: list[Request], start: int, end: int) -> int:
    """Output tokens after `start`, up to and with `end` (ns)."""
    return sum(
        count
        for request in requests
        for time, count in zip(request.times, request.counts, strict=True)
        if start < time <= end
    )


def meets(request: Request, slo: dict[str, float]) -> bool:
    """Whether a completed request kept every target; one that has no such latency keeps it."""
    latencies = {"ttft": ttft(request), "tpot": tpot(request), "e2e": e2e(request)}
    found = ((latencies.get(name), target) for name, target in slo.items())
    return all(value is None or value <= target for value, target in found)


def _goodput(session: Session, done: list[Request], seconds: float | None) -> float | None:
    slo = session.started.config.slo if session.started else {}
    return _per_second(sum(meets(request, slo) for request in done), seconds) if slo else None


def host_peak(session: Session, level: Level) -> int | None:
    """The engine's peak resident bytes in a level: what the kernel counted, else the samples'."""
    if level.host_peak_bytes is not None:
        return level.host_peak_bytes
    until = session.now if level.ended is None else level.ended
    sampled = (
        sample.engine_bytes
        for sample in session.host
        if sample.engine_bytes is not None and level.started <= sample.time <= until
    )
    return max(sampled, default=None)


def baseline(session: Session) -> int | None:
    """The engine's resident bytes after its first warm-up, less the weights it holds in RAM."""
    if session.warmed is None or session.warmed.resident_bytes is None or session.model is None:
        return None
    if session.model.device != "cpu":
        return session.warmed.resident_bytes
    if session.model.weights_bytes is None:
        return None
    return session.warmed.resident_bytes - session.model.weights_bytes


def current_rate(session: Session, seconds: float = 1.0) -> float | None:
    """Output tokens per second over the last whole bins of about `seconds`; None before any."""
    width = max(round(seconds * SECOND / BIN), 1)
    end = session.now // BIN
    if end < 1:
        return None
    start = max(end - width, 0)
    return sum(session.token_bins[start:end]) / ((end - start) * BIN / SECOND)


def rate_history(session: Session, step: int = SECOND, until: int | None = None) -> list[float]:
    """Output tokens per second in each whole step (ns, a multiple of `BIN`), oldest first."""
    bins, per = session.token_bins, step // BIN
    whole = (session.now if until is None else until) // step
    return [sum(bins[i * per : (i + 1) * per]) * SECOND / step for i in range(whole)]


def _per_second(count: int, seconds: float | None) -> float | None:
    return count / seconds if seconds is not None and seconds > 0 else None


def _spread(values: Iterable[float | None]) -> Distribution | None:
    return distribution(value for value in values if value is not None)
