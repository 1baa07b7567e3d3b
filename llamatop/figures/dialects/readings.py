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
    ended,
    first_chunk,
    firsts,
    linear,
    output,
    pace,
    paced,
    ranked,
    sent,
    span,
    weighted,
    whole_pace,
)
from llamatop.figures.levels import level_figures
from llamatop.figures.requests import counted, first_token
from llamatop.session.reducer import Session
from llamatop.session.requests import Level, Request

DIALECTS = (
    "llamatop", "vllm", "aiperf", "guidellm", "mlperf", "inference-perf", "llama-benchy",
)  # fmt: skip

TITLES = {
    "llamatop": "llamatop",
    "vllm": "vLLM bench",
    "aiperf": "AIPerf",
    "guidellm": "guidellm",
    "mlperf": "MLPerf",
    "inference-perf": "inference-perf",
    "llama-benchy": "llama-benchy",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One level in one tool's definitions; None: the tool has no such figure, or no value."""

    dialect: str
    level: int
    concurrency: int
    completed: int
    failed: int
    output_tokens: int | None
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
        "ttft": linear(
            [
                (first_chunk(one) - sent(one)) / SECOND
                for one in done
                if first_token(one) is not None
            ]
        ),
        "tpot": linear([_vllm_pace(one) for one in done if paced(one)]),
        "itl": linear([gap for one in done for gap in chunk_gaps(one)]),
        "e2e": linear([(one.times[-1] - sent(one)) / SECOND for one in done]),
    }
    return _reading(
        "vllm",
        level,
        output(done),
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
        "ttft": linear(firsts(done)),
        "itl": linear([pace(one) for one in done if paced(one)]),
        "icl": linear([gap for one in done for gap in chunk_gaps(one)]),
        "e2e": linear([(one.times[-1] - sent(one)) / SECOND for one in done]),
    }
    tokens = output(done)
    return _reading("aiperf", level, tokens, span(done), counted=len(done), latencies=latencies)


def _guidellm(session: Session, level: Level) -> Reading:
    """guidellm: TPOT counts the first token and its wait; ITL and TPOT weigh by their tokens."""
    done = completed(level)
    paces = [(pace(one), one.tokens - 1) for one in done if paced(one)]
    whole = [
        ((one.times[-1] - sent(one)) / SECOND / one.tokens, one.tokens)
        for one in done
        if one.tokens and counted(one)
    ]
    latencies = {
        "ttft": weighted([(first, 1) for first in firsts(done)]),
        "tpot": weighted(whole),
        "itl": weighted(paces),
        "e2e": weighted([((ended(one) - sent(one)) / SECOND, 1) for one in done]),
    }
    tokens = output(done)
    return _reading("guidellm", level, tokens, span(done), counted=len(done), latencies=latencies)


def _mlperf(session: Session, level: Level) -> Reading:
    """LoadGen's server scenario: from the scheduled time, whole nanoseconds, `sorted[int(n p)]`.

    A query of one token has no TPOT; LoadGen calls that an error, here there is no value at all.
    """
    done = completed(level)
    single = not all(map(paced, done))
    begun = [(one, first) for one in done if (first := first_token(one)) is not None]
    latencies = {
        "ttft": ranked([first - one.scheduled for one, first in begun]),
        "tpot": None if single else ranked([whole_pace(one) for one in done]),
        "e2e": ranked([one.times[-1] - one.scheduled for one in done]),
    }
    start = min((one.scheduled for one in level.requests), default=0)
    seconds = (max(one.times[-1] for one in done) - start) / SECOND if done else None
    tokens = output(done)
    return _reading("mlperf", level, tokens, seconds, counted=len(done) - 1, latencies=latencies)


def _inference_perf(session: Session, level: Level) -> Reading:
    """inference-perf: from the sending; TPOT and E2E until the stream's end; chunk gaps are ITL.

    It tokenises each chunk again and counts these tokens; a recording has no such count, so the
    server's stands for it.
    """
    done = completed(level)
    latencies = {
        "ttft": linear(firsts(done)),
        "tpot": linear([pace(one) for one in done if paced(one)]),
        "itl": linear([gap for one in done for gap in chunk_gaps(one)]),
        "e2e": linear([(ended(one) - sent(one)) / SECOND for one in done]),
    }
    begin = min((sent(one) for one in level.requests), default=0)
    end = max((ended(one) for one in level.requests if one.ended is not None), default=begin)
    seconds = (end - begin) / SECOND if done else None
    return _reading(
        "inference-perf", level, output(done), seconds, counted=len(done), latencies=latencies
    )


def _llama_benchy(session: Session, level: Level) -> Reading:
    """llama-benchy: tokens a second of generation alone, from the first token of all to the last.

    Its one latency is the end-to-end TTFT, from the sending.
    """
    done = [one for one in completed(level) if paced(one)]
    seconds = None
    if done:
        seconds = (max(one.times[-1] for one in done) - min(one.times[0] for one in done)) / SECOND
    tokens = sum(one.tokens - 1 for one in done)
    latencies = {"ttft": linear(firsts(completed(level)))}
    return _reading("llama-benchy", level, tokens, seconds, counted=len(done), latencies=latencies)


_READ: dict[str, Callable[[Session, Level], Reading]] = {
    "llamatop": _llamatop,
    "vllm": _vllm,
    "aiperf": _aiperf,
    "guidellm": _guidellm,
    "mlperf": _mlperf,
    "inference-perf": _inference_perf,
    "llama-benchy": _llama_benchy,
}


def _reading(
    dialect: str,
    level: Level,
    tokens: int | None,
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
        tokens / seconds if known and seconds and tokens is not None else None,
        counted / seconds if known and seconds else None,
        latencies,
    )  # fmt: skip
