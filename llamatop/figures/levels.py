"""What each level of a run measured: every figure of a summary, derived from the raw times.

Over the measured requests only: warm-up is left out. Latencies are of completed requests, tokens
of all. Of a level that the recording joined in the middle, tokens and rates count from then on,
latencies are those of the requests that completed since. What cannot be known is None.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter

from llamatop.events.clock import SECOND
from llamatop.events.kinds import HostSampled
from llamatop.figures.arrivals import asked_rate, real_rate
from llamatop.figures.between import FirstToken, Told, level_first_token, level_told
from llamatop.figures.contention import NOTHING_KNOWN, Contention, level_contention
from llamatop.figures.energy import joules_per_token
from llamatop.figures.requests import (
    coalesced,
    counted,
    duration,
    e2e,
    gaps,
    kept,
    output_tokens,
    prompt_size,
    prompt_tokens,
    queue_time,
    span,
    tpot,
    ttft,
)
from llamatop.figures.served import ServedFigures, held, on_servers, served_figures
from llamatop.figures.shares import level_held_back_by, level_mbu, level_mfu
from llamatop.figures.stats import MANY, Distribution, distribution
from llamatop.figures.steady import Steady, Windows
from llamatop.figures.turns import TurnFigures, turn_figures
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request


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
    prompt_tokens: int | None
    """Of those whose prompt is known; None: of no completed request it is."""
    output_tokens: int | None
    """None: some request's are not known."""
    duration: float | None
    output_rate: float | None
    """Output tokens per second."""
    steady_rate: float | None
    """Output tokens per second while as many requests as the concurrency were in flight."""
    steady: Steady | None
    """When its throughput became steady, and how well it is known from then on; see `steady`."""
    ended_by: str
    """`requests`, `time` or `interval`; empty where something else ended it."""
    request_rate: float | None
    """Completed requests per second."""
    goodput: float | None
    """Completed requests per second that met every target; None where there is no target, or no
    completed request could be judged by all of them."""
    judged: int | None
    """How many completed requests could be judged by every target; None where there is none."""
    most_at_once: int | None
    """The most measured requests that were in flight together; None: not known."""
    asked_rate: float | None
    """Arrivals per second that were asked for; None of a closed loop."""
    real_rate: float | None
    """Requests per second that really began."""
    cached_prompt_tokens: int | None
    """Tokens of completed requests' prompts that had been computed before; None: nobody told."""
    turns: tuple[TurnFigures, ...]
    """Of each turn of conversations; empty where requests belong to none."""
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
    mbu: float | None
    """Memory bandwidth utilisation of decoding, a share of 1."""
    mfu: float | None
    """Model FLOPs utilisation, a share of 1."""
    joules_per_token: float | None
    """Energy of the accelerators, by output tokens; see `energy`."""
    held_back_by: str | None
    """What most kept it from being faster."""
    memory_ended_in: str | None
    """Where memory ended: `prefill`, `decode` or both; None: it did not, or nobody knows."""
    served: ServedFigures | None = None
    """What servers and their client add; None: the engine is in process."""
    first_token: FirstToken | None = None
    """Where the time to the first token went; None: the engine was in process."""
    told: Told | None = None
    """What watched servers told meanwhile; None: none was watched."""
    contention: Contention = NOTHING_KNOWN
    """What others took of the machine meanwhile."""

    @property
    def estimated(self) -> bool:
        """Whether some of its output tokens are a guess, and with them each rate."""
        return self.served is not None and self.served.estimated_tokens > 0


def level_figures(session: Session, level: Level) -> LevelFigures:
    """All figures of a level, over its measured requests."""
    requests = level.requests
    done = [request for request in requests if request.state == "done"]
    since = level.joined
    output = (
        sum(output_tokens(request, since) for request in requests)
        if all(map(counted, requests))
        else None
    )
    seconds = duration(requests, since)
    config = session.started.config if session.started else None
    predicted = session.predicted.get(level.id)
    slo = config.slo if config else {}
    bandwidth, arithmetic = level_mbu(session, level), level_mfu(session, level)
    met, judged = kept(done, slo) if slo else (0, 0)
    return LevelFigures(
        level=level.id,
        concurrency=level.concurrency,
        outcome=level.outcome,
        error=level.error,
        requests=len(requests),
        completed=len(done),
        failed=sum(request.state == "failed" for request in requests),
        cancelled=sum(request.state == "cancelled" for request in requests),
        prompt_tokens=_prompts(requests, since),
        output_tokens=output,
        duration=seconds,
        output_rate=_per_second(output, seconds),
        steady_rate=None if output is None else steady_rate(requests, level.concurrency),
        steady=None if output is None else steady_part(level, _waited(session)),
        ended_by=level.ended_by,
        request_rate=_per_second(len(done), seconds),
        goodput=_per_second(met, seconds) if slo and (judged or not done) else None,
        judged=judged if slo else None,
        cached_prompt_tokens=_cached(done),
        turns=turn_figures(done),
        asked_rate=asked_rate(config, level) if config else None,
        real_rate=real_rate(config, requests) if config else None,
        most_at_once=most_at_once(level),
        ttft=_spread(ttft(request) for request in done),
        tpot=_spread(tpot(request) for request in done),
        itl=distribution(_gaps(done)),
        e2e=_spread(e2e(request) for request in done),
        queue=_spread(queue_time(request) for request in done),
        coalesced=sum(map(coalesced, done)),
        host_peak_bytes=host_peak(session, level),
        device_peak_bytes=device_peak(session, level),
        baseline_bytes=baseline(session),
        predicted_host_bytes=predicted.host_bytes if predicted else None,
        predicted_device_bytes=predicted.device_bytes if predicted else None,
        mbu=bandwidth,
        mfu=arithmetic,
        joules_per_token=_energy(session, level, output),
        held_back_by=level_held_back_by(session, level, bandwidth, arithmetic),
        memory_ended_in=memory_ended_in(session, level),
        served=served_figures(session, level),
        first_token=level_first_token(session, level),
        told=level_told(session, level),
        contention=level_contention(session, level),
    )


def _energy(session: Session, level: Level, output: int | None) -> float | None:
    """Joules of an output token, while there were measured requests."""
    while_measured = span(level.requests, level.joined)
    return None if while_measured is None else joules_per_token(session, *while_measured, output)


def _gaps(done: list[Request]) -> Iterable[float]:
    """Inter-token latencies in seconds, of all requests together."""
    if sum(len(request.times) for request in done) < MANY:
        return chain.from_iterable(map(gaps, done))
    from llamatop.figures.pooled import all_gaps  # noqa: PLC0415  (numpy: only where there are many)

    return all_gaps(done)


def _prompts(requests: list[Request], since: int | None) -> int | None:
    """Prompt tokens, where they are known; what failed may have none."""
    known = [count for one in requests if (count := prompt_tokens(one, since)) is not None]
    untold = any(one.state == "done" and prompt_size(one) is None for one in requests)
    return None if untold or (requests and not known) else sum(known)


def _waited(session: Session) -> bool:
    """Whether the level was looked at again and again for its interval: then that counts the
    looks, whatever ended it."""
    return session.started is not None and session.started.config.until_ci is not None


def steady_part(level: Level, waited: bool = False) -> Steady | None:
    """The steady part of a level, before it drains; None where there is none to be found.

    `waited`: its interval is one that was waited for, see `Windows.steady`.
    """
    if level.forgotten or not level.requests:
        return None
    until = _drains_from(level) if level.enough_at is None else level.enough_at
    ends = sorted(
        (request.ended, request.tokens)
        for request in level.requests
        if request.state == "done" and request.ended is not None and request.ended <= until
    )
    windows = Windows(level.concurrency)
    windows.begin(min(request.scheduled for request in level.requests))
    for time, tokens in ends:
        windows.complete(time, tokens)
    return windows.steady(waited=waited or level.enough_at is not None)


def _drains_from(level: Level) -> int:
    """Until when a level's slots were in use (ns): its last requests are followed by no others.

    Where requests come in waves, as static batches, a whole wave counts, and one that is not
    whole does not.
    """
    begun = sorted(request.admitted for request in level.requests if request.admitted is not None)
    ended = sorted(request.ended for request in level.requests if request.ended is not None)
    if not begun:
        return 0
    last_wave = next(
        (place for place in range(len(begun) - 1, 0, -1) if bisect(ended, begun[place]) >= place), 0
    )
    of_wave = len(begun) - last_wave
    if of_wave < level.concurrency:
        return begun[last_wave]
    if of_wave == level.concurrency:
        return ended[-1] if ended else begun[-1]
    after = bisect(ended, begun[-1])
    return ended[after] if after < len(ended) else begun[-1]


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
    return sum(_tokens_of(request, start, end) for request in requests if request.times)


def _tokens_of(request: Request, start: int, end: int) -> int:
    times = request.times  # in order
    if start < times[0] and times[-1] <= end:
        return request.tokens
    return sum(request.counts[bisect(times, start) : bisect(times, end)])


def _cached(done: list[Request]) -> int | None:
    told = [request.reused for request in done if request.reused is not None]
    return sum(told) if told else None


def most_at_once(level: Level) -> int | None:
    """The most measured requests in flight together; None where that was not kept or told."""
    begun = [request.admitted for request in level.requests if request.admitted is not None]
    untold = any(one.state == "done" and one.admitted is None for one in level.requests)
    if level.forgotten or level.joined is not None or not begun or untold:
        return None
    admitted = (one for one in level.requests if one.admitted is not None)
    ended = [one.ended for one in admitted if one.ended is not None]
    changes = sorted([*((time, 1) for time in begun), *((time, -1) for time in ended)])
    return max(accumulate(change for _, change in changes))


def never_reached(session: Session, figures: LevelFigures) -> bool:
    """Whether a closed loop never had as many requests in flight as its concurrency says."""
    open_loop = session.started is not None and session.started.config.open_loop
    most = figures.most_at_once
    return not open_loop and most is not None and most < figures.concurrency


def host_peak(session: Session, level: Level) -> int | None:
    """The engine's peak resident bytes in a level: what the kernel counted, else the samples'.

    Of servers that of their processes, where they run here; never of the process that sends.
    """
    if level.host_peak_bytes is not None:
        return level.host_peak_bytes
    return _most(session, level, held(session))


def device_peak(session: Session, level: Level) -> int | None:
    """The most bytes of accelerators: as torch counted them; of servers, what the samples say."""
    if level.device_peak_bytes is not None:
        return level.device_peak_bytes
    return _most(session, level, attrgetter("server_device_bytes"))


def _most(session: Session, level: Level, told: Callable[[HostSampled], int | None]) -> int | None:
    """The largest of what the samples of a level tell."""
    until = session.now if level.ended is None else level.ended
    within = (sample for sample in session.host if level.started <= sample.time <= until)
    return max((size for size in map(told, within) if size is not None), default=None)


def memory_ended_in(session: Session, level: Level) -> str | None:
    """What the requests were at that were lost when memory ended, warm-up included."""
    if level.outcome != "oom":
        return None
    lost = [r for r in session.requests.values() if r.level == level.id and r.state == "failed"]
    phases = {"decode" if request.tokens else "prefill" for request in lost}
    return " and ".join(sorted(phases, reverse=True)) or None


def baseline(session: Session) -> int | None:
    """The engine's resident bytes after its first warm-up, less the weights it holds in RAM."""
    if session.warmed is None or session.warmed.resident_bytes is None or session.model is None:
        return None
    if session.model.offload or on_servers(session):
        return None  # how much of them it holds is not known
    if session.model.device != "cpu":
        return session.warmed.resident_bytes
    if session.model.weights_bytes is None:
        return None
    rest = session.warmed.resident_bytes - session.model.weights_bytes
    return rest if rest >= 0 else None  # weights that are on disk still are in no RAM


def _per_second(count: int | None, seconds: float | None) -> float | None:
    return None if count is None or seconds is None or seconds <= 0 else count / seconds


def _spread(values: Iterable[float | None]) -> Distribution | None:
    return distribution(value for value in values if value is not None)
