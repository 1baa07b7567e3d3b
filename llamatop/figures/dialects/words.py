"""Where a tool's figures of one run differ from llamatop's, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llamatop.figures.dialects.arithmetic import first_chunk, sent
from llamatop.figures.dialects.readings import TITLES, Reading, figures
from llamatop.figures.stats import spread_json
from llamatop.session.reducer import Session
from llamatop.session.requests import Request


def as_json(session: Session, dialect: str) -> dict[str, Any]:
    """The readings as one JSON object, keys spelt as in the summary, with the explanation."""
    return {
        "schema": 1,
        "dialect": dialect,
        "levels": [_level_json(reading) for reading in figures(session, dialect)],
        "explanation": explain(session, dialect),
    }


def _level_json(reading: Reading) -> dict[str, Any]:
    return {
        "concurrency": reading.concurrency,
        "completed": reading.completed,
        "failed": reading.failed,
        "output_tokens": reading.output_tokens,
        "duration_s": reading.duration,
        "output_tok_s": reading.output_rate,
        "request_s": reading.request_rate,
        **{f"{name}_s": spread_json(spread) for name, spread in reading.latencies.items()},
    }


def explain(session: Session, dialect: str) -> list[str]:
    """In words, where the tool's figures of this very run differ from llamatop's, and why."""
    if dialect == "llamatop":
        return ["llamatop's own definitions"]
    told = [text for text, holds in _REASONS[dialect] if holds(session)]
    return [*_distances(session, dialect), *told] or [
        f"{TITLES[dialect]} would print the figures that llamatop prints for this run"
    ]


def _distances(session: Session, dialect: str) -> list[str]:
    """Each figure that is more than half a percent off at some level, where it is most."""
    ours, theirs = figures(session, "llamatop"), figures(session, dialect)
    found: dict[str, tuple[float, str]] = {}
    for own, other in zip(ours, theirs, strict=True):
        for name, mine, its in _figures_of(own, other):
            off = its / mine - 1
            if abs(off) > max(0.005, abs(found.get(name, (0.0, ""))[0])):
                at = f"at concurrency {own.concurrency}: {_told(name, its)}"
                found[name] = off, f"{name} {at}, llamatop {_told(name, mine)} ({off:+.1%})"
    return [f"{TITLES[dialect]}'s {text}" for _, text in found.values()]


def _figures_of(own: Reading, other: Reading) -> Iterator[tuple[str, float, float]]:
    """The figures that carry the same name in both."""
    if own.output_rate and other.output_rate:
        yield "output tokens/s", own.output_rate, other.output_rate
    for name, spread in other.latencies.items():
        mine = own.latencies.get(name)
        if mine is not None and spread is not None:
            for part in ("mean", "p50", "p99"):
                if value := getattr(mine, part):
                    yield f"{name.upper()} {part}", value, getattr(spread, part)


def _told(name: str, value: float) -> str:
    return f"{value:.4g}" if name == "output tokens/s" else f"{value * 1000:.4g} ms"


def _requests(session: Session) -> Iterator[Request]:
    return (one for level in session.levels.values() for one in level.requests)


def _always(session: Session) -> bool:
    return True


def _queued(session: Session) -> bool:
    return any(sent(one) > one.scheduled for one in _requests(session))


def _empty_first(session: Session) -> bool:
    return any(one.times and first_chunk(one) < one.times[0] for one in _requests(session))


def _coalesced(session: Session) -> bool:
    return any(count > 1 for one in _requests(session) for count in one.counts[1:])


def _single(session: Session) -> bool:
    return any(one.state == "done" and one.tokens == 1 for one in _requests(session))


def _unfinished(session: Session) -> bool:
    return any(one.state in ("failed", "cancelled") and one.tokens for one in _requests(session))


def _uneven(session: Session) -> bool:
    return len({one.tokens for one in _requests(session) if one.state == "done"}) > 1


_FROM_SEND = (
    "latencies count from when the request was sent, not from when it should have started: a queue "
    "before the sending is not in them", _queued,
)  # fmt: skip
_CHUNKS = "a chunk of several tokens is one gap; llamatop counts as many gaps as tokens"
_UNFINISHED = ("tokens of requests that failed or were cancelled are not counted", _unfinished)

_REASONS: dict[str, list[tuple[str, Callable[[Session], bool]]]] = {
    "vllm": [
        _FROM_SEND,
        ("the first chunk counts as the first token, though it may hold none", _empty_first),
        (f"ITL: {_CHUNKS}", _coalesced),
        ("a reply of one token has no TPOT, and counts as 0 for goodput", _single),
        ("the duration lasts until the last request ended, not until the last token", _always),
        _UNFINISHED,
    ],
    "aiperf": [
        _FROM_SEND,
        ("what it calls ITL is one mean a request, llamatop's TPOT; the gaps are its ICL", _always),
        (f"ICL: {_CHUNKS}", _coalesced),
        _UNFINISHED,
    ],
    "guidellm": [
        _FROM_SEND,
        ("its TPOT is the whole latency over all tokens, the first and its wait included", _always),
        ("its ITL is one mean a request, llamatop's TPOT", _always),
        ("requests weigh by their tokens in ITL and TPOT", _uneven),
        ("a percentile is a value that occurred, the first that reaches the share", _always),
        _UNFINISHED,
    ],
    "mlperf": [
        ("a percentile is `sorted[int(n p)]`, a value that occurred, not interpolated", _always),
        ("a reply of one token is an error: there is no TPOT", _single),
        ("the request rate leaves one request out: (n - 1) / duration", _always),
        ("a valid run lasts 600 s at least and has queries enough for its percentile", _always),
        _UNFINISHED,
    ],
    "inference-perf": [
        _FROM_SEND,
        (f"ITL: {_CHUNKS}", _coalesced),
        ("tokens are its own count: each chunk's text tokenised again, where it has a tokenizer",
         _always),
        ("E2E and the duration last until the stream's end, not until the last token", _always),
        _UNFINISHED,
    ],
    "llama-benchy": [
        _FROM_SEND,
        ("its throughput is of generation alone: from the first token of all to the last, each "
         "request's first token left out", _always),
        ("it has no TPOT, ITL and E2E", _always),
        _UNFINISHED,
    ],
}  # fmt: skip
