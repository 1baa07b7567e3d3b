"""Every figure, as a pure function of the raw times in a session. Nothing here is ever stored.

Definitions: latencies count from the scheduled time, so that a stalled engine cannot hide its
queue; tokens are counted, never chunks; warm-up is left out; what cannot be known is None.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

from llamatop.events.clock import SECOND
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Request


def queue_time(request: Request) -> float | None:
    """Seconds from scheduled to admitted."""
    return None if request.admitted is None else (request.admitted - request.scheduled) / SECOND


def first_token(request: Request) -> int | None:
    """When its first token came (ns); None where there is none, or only its end is known."""
    if not request.times or (request.summed and len(request.times) == 1):
        return None
    return request.times[0]


def counted(request: Request) -> bool:
    """Whether it is known how many tokens it has."""
    return not request.summed or request.counts[-1] > 0


def ttft(request: Request) -> float | None:
    """Time to first token: seconds from scheduled to the first emission."""
    first = first_token(request)
    return None if first is None else (first - request.scheduled) / SECOND


def e2e(request: Request) -> float | None:
    """End to end: seconds from scheduled to the last emission."""
    return (request.times[-1] - request.scheduled) / SECOND if request.times else None


def tpot(request: Request) -> float | None:
    """Time per output token after the first, in seconds; None for fewer than two tokens."""
    first = first_token(request)
    if request.tokens < 2 or first is None or not counted(request):
        return None
    return (request.times[-1] - first) / SECOND / (request.tokens - 1)


def gaps(request: Request) -> Iterator[float]:
    """Inter-token latencies in seconds: an emission of k tokens after a gap g is k gaps of g/k.

    None of a request whose tokens' own times are not known.
    """
    times, counts = request.times, request.counts
    if request.summed:
        return iter(())
    if len(times) == request.tokens:  # each emission is one token: most requests
        return ((end - start) / SECOND for start, end in pairwise(times))
    return (
        (times[i] - times[i - 1]) / SECOND / counts[i]
        for i in range(1, len(times))
        for _ in range(counts[i])
    )


def coalesced(request: Request) -> int:
    """Tokens after the first emission that came in an emission of several."""
    if len(request.times) == request.tokens or request.summed:
        return 0
    return sum(count for count in request.counts[1:] if count > 1)


def decode_rate(request: Request) -> float | None:
    """Output tokens per second after the first; None before there are two."""
    per_token = tpot(request)
    return 1 / per_token if per_token else None


def duration(requests: list[Request], since: int | None = None) -> float | None:
    """Seconds from the first scheduled time, or `since` (ns), to the last token; None without."""
    ends = span(requests, since)
    return None if ends is None else (ends[1] - ends[0]) / SECOND


def span(requests: list[Request], since: int | None = None) -> tuple[int, int] | None:
    """The first scheduled time, or `since`, and that of the last token (ns); None without."""
    last = max((request.times[-1] for request in requests if request.times), default=None)
    if last is None:
        return None
    start = min(request.scheduled for request in requests) if since is None else since
    return (start, last) if last >= start else None


def output_tokens(request: Request, since: int | None = None) -> int:
    """Output tokens, or those from `since` (ns) on."""
    if since is None:
        return request.tokens
    return sum(request.counts[bisect_left(request.times, since) :])


def prompt_tokens(request: Request, since: int | None = None) -> int | None:
    """Tokens of the prompt; 0 where its prefill was over before `since` (ns); None: not known."""
    over = since is not None and bool(request.times) and request.times[0] < since
    return 0 if over else prompt_size(request)


def prompt_size(request: Request) -> int | None:
    """Tokens of the prompt, as the server counted them where it did; None: not known."""
    counted = None if request.served is None else request.served.prompt
    return request.prompt_tokens if counted is None else counted


def meets(request: Request, slo: dict[str, float]) -> bool | None:
    """Whether a completed request kept every target.

    None where that cannot be judged: it breaks none, and has no latency that one is for (one
    token has no TPOT).
    """
    told = {name: _LATENCIES[name](request) for name in slo if name in _LATENCIES}
    if any(value is not None and value > slo[name] for name, value in told.items()):
        return False
    return None if len(told) < len(slo) or None in told.values() else True


_LATENCIES = {"ttft": ttft, "tpot": tpot, "e2e": e2e}
"""What a target may be for."""


def kept(requests: Iterable[Request], slo: dict[str, float]) -> tuple[int, int]:
    """How many of these completed requests kept every target, and how many could be judged."""
    verdicts = [verdict for one in requests if (verdict := meets(one, slo)) is not None]
    return sum(verdicts), len(verdicts)


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
