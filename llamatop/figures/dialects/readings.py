"""Each tool's figures of a level, recomputed from the raw times.

Each follows its tool's own source (vLLM bench and guidellm of 2026, AIPerf, MLPerf LoadGen). What
only those tools can see (their client's clocks, retokenised text) is not imitated: the moment at
which the engine or server took a request stands for the moment at which they would have sent it.
Pure functions of a session; knows no file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llamatop.events.clock import SECOND
from llamatop.figures.dialects.arithmetic import (
    Spread,
    chunk_gaps,
    completed,
    first_chunk,
    linear,
    pace,
    ranked,
    sent,
    span,
    weighted,
    whole_pace,
)
from llamatop.figures.levels import level_figures
from llamatop.session.reducer import Level, Request, Session

DIALECTS = ("llamatop", "vllm", "aiperf", "guidellm", "mlperf")

TITLES = {
    "llamatop": "llamatop",
    "vllm": "vLLM bench",
    "aiperf": "AIPerf",
    "guidellm": "guidellm",
    "mlperf": "MLPerf",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One level in one tool's definitions; None: the tool has no such figure, or no value."""

    dialect: str
    level: int
    concurrency: int
    completed: int
    failed: int
    output_tokens: int
    duration: float | None
    """Seconds."""
    output_rate: float | None
    """Output tokens per second."""
    request_rate: float | None
    latencies: dict[str, Spread | None]
    """By the tool's own name in lower case: `ttft`, `tpot`, `itl`, `icl`, `e2e`."""


def figures(session: Session, dialect: str) -> list[Reading]:
    """Every level of a session as the tool would tell it. Raises KeyError for an unknown tool."""
    return [_READ[dialect](session, level) for level in session.levels.values()]


def _llamatop(session: Session, level: Level) -> Reading:
    """The summary's own figures."""
    own = level_figures(session, level)
    spreads = {name: getattr(own, name) for name in ("ttft", "tpot", "itl", "e2e")}
    return Reading(
        "llamatop", level.id, level.concurrency, own.completed, own.failed, own.output_tokens,
        own.duration, own.output_rate, own.request_rate,
        {
            name: None if d is None else Spread(d.mean, d.p50, d.p90, d.p99)
            for name, d in spreads.items()
        },
    )  # fmt: skip


def _vllm(session: Session, level: Level) -> Reading:
    """`calculate_metrics` of vllm/benchmarks/serve.py: chunk gaps, no TPOT for one token.

    The first chunk starts it all, with a token or without.
    """
    done = completed(level)
    end = max((one.ended for one in level.requests if one.ended is not None), default=None)
    start = min((one.scheduled for one in level.requests), default=0)
    seconds = None if end is None else (end - start) / SECOND
    latencies = {
        "ttft": linear([(first_chunk(one) - sent(one)) / SECOND for one in done]),
        "tpot": linear([_vllm_pace(one) for one in done if one.tokens > 1]),
        "itl": linear([gap for one in done for gap in chunk_gaps(one)]),
        "e2e": linear([(one.times[-1] - sent(one)) / SECOND for one in done]),
    }
    return _reading(
        "vllm",
        level,
        sum(one.tokens for one in done),
        seconds,
        counted=len(done),
        latencies=latencies,
    )


def _vllm_pace(one: Request) -> float:
    return (one.times[-1] - first_chunk(one)) / SECOND / (one.tokens - 1)


def _aiperf(session: Session, level: Level) -> Reading:
    """AIPerf's metrics: ITL is one mean a request, the gaps between chunks are called ICL."""
    done = completed(level)
    latencies = {
        "ttft": linear([(one.times[0] - sent(one)) / SECOND for one in done]),
        "itl": linear([pace(one) for one in done if one.tokens > 1]),
        "icl": linear([gap for one in done for gap in chunk_gaps(one)]),
        "e2e": linear([(one.times[-1] - sent(one)) / SECOND for one in done]),
    }
    tokens = sum(one.tokens for one in done)
    return _reading("aiperf", level, tokens, span(done), counted=len(done), latencies=latencies)


def _guidellm(session: Session, level: Level) -> Reading:
    """guidellm: TPOT counts the first token and its wait; ITL and TPOT weigh by their tokens."""
    done = completed(level)
    paces = [(pace(one), one.tokens - 1) for one in done if one.tokens > 1]
    whole = [((one.times[-1] - sent(one)) / SECOND / one.tokens, one.tokens) for one in done]
    latencies = {
        "ttft": weighted([((one.times[0] - sent(one)) / SECOND, 1) for one in done]),
        "tpot": weighted(whole),
        "itl": weighted(paces),
        "e2e": weighted([((one.times[-1] - sent(one)) / SECOND, 1) for one in done]),
    }
    tokens = sum(one.tokens for one in done)
    return _reading("guidellm", level, tokens, span(done), counted=len(done), latencies=latencies)


def _mlperf(session: Session, level: Level) -> Reading:
    """LoadGen's server scenario: from the scheduled time, whole nanoseconds, `sorted[int(n p)]`.

    A query of one token has no TPOT; LoadGen calls that an error, here there is no value at all.
    """
    done = completed(level)
    single = any(one.tokens < 2 for one in done)
    latencies = {
        "ttft": ranked([one.times[0] - one.scheduled for one in done]),
        "tpot": None if single else ranked([whole_pace(one) for one in done]),
        "e2e": ranked([one.times[-1] - one.scheduled for one in done]),
    }
    start = min((one.scheduled for one in level.requests), default=0)
    seconds = (max(one.times[-1] for one in done) - start) / SECOND if done else None
    tokens = sum(one.tokens for one in done)
    return _reading("mlperf", level, tokens, seconds, counted=len(done) - 1, latencies=latencies)


_READ: dict[str, Callable[[Session, Level], Reading]] = {
    "llamatop": _llamatop,
    "vllm": _vllm,
    "aiperf": _aiperf,
    "guidellm": _guidellm,
    "mlperf": _mlperf,
}


def _reading(
    dialect: str,
    level: Level,
    tokens: int,
    seconds: float | None,
    *,
    counted: int,
    latencies: dict[str, Spread | None],
) -> Reading:
    """Rates over a duration; `counted` requests make the request rate."""
    known = seconds is not None and seconds > 0
    return Reading(
        dialect, level.id, level.concurrency, len(completed(level)),
        sum(one.state == "failed" for one in level.requests), tokens, seconds,
        tokens / seconds if known and seconds else None,
        counted / seconds if known and seconds else None,
        latencies,
    )  # fmt: skip
