"""The request table: which requests, in which order, and each as one row of fixed columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import islice

import msgspec

from llamatop.events.sanitize import one_line
from llamatop.figures.requests import counted, decode_rate, prompt_size, queue_time, tpot, ttft
from llamatop.figures.served import on_servers
from llamatop.session.reducer import Session
from llamatop.session.requests import Request
from llamatop.text.formatting import UNKNOWN, whole
from llamatop.tui.drawing.charts import bar
from llamatop.tui.drawing.lines import Line, Span, centred, clip, left, right, tail
from llamatop.tui.monitor.frame import Choices, Frame
from llamatop.tui.monitor.recent import newest_first
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import rate, roughly, span

KEPT = 2_000
"""Ended requests that the table goes back to."""

SIGNS = {
    "queued": ("○", "dim"),
    "prefill": ("◔", "work"),
    "decode": ("●", "work"),
    "done": ("✓", "good"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "dim"),
}
_STATES = list(SIGNS)

SHORT = ("◑", "warn")
"""The sign of a request that ended well with fewer tokens than asked."""


class Columns(msgspec.Struct, frozen=True):
    """Cells for each part of a row; 0: left out."""

    prompt: int
    bar: int
    rate: int
    ttft: int
    queue: int
    text: int


@lru_cache(maxsize=4)
def columns_of(width: int) -> Columns:
    """What a table of so many cells shows: progress always, the text in what is left."""
    fixed = 6 + 13 + 11
    rate = 9 if width >= fixed + 9 else 0
    ttft = 9 if width >= fixed + 18 else 0
    bar = min(max((width - 60) // 5, 0), 24)
    prompt = 8 if width >= 104 else 0
    queue = 9 if width >= 96 else 0
    text = width - fixed - rate - ttft - (bar + 1 if bar else 0) - prompt - queue
    return Columns(prompt, bar, rate, ttft, queue, max(text, 0) if ttft else 0)


def content(frame: Frame, rows: int, width: int, height: int, above: int = 0) -> Content:
    """The frame around the table: column names, how many rows there are and are above, keys."""
    choices = frame.choices
    corner: list[list[Span]] = [[(f"{rows:,}", "text"), (" shown", "dim")]]
    if choices.query:
        corner[0].insert(1, (f" of {_all(frame.session):,}", "dim"))
        corner.insert(0, [("/", "key"), (one_line(choices.query), "text")])
    if choices.order != "newest":
        corner.append([(f"by {choices.order} {'↓' if choices.reverse else '↑'}", "key")])
    blank = empty(frame, width, height - 1) if not rows else []
    names = heading(width - 1, TEXTLESS if textless(frame) and rows else "text")
    back: list[list[Span]] = [[("g", "key"), (f" {above:,} above", "dim")]] if above else []
    return Content([names, *blank], corner=corner, hints=[*back, *_HINTS] if rows else ())


def _all(session: Session) -> int:
    """The requests that the table shows without a filter."""
    flying = len(session.active)
    return flying + min(len(session.requests) - flying, KEPT)


TEXTLESS = "text not recorded"

_LOOKED_AT = 64
"""Newest requests that tell whether text was recorded."""


def textless(frame: Frame) -> bool:
    """Whether a recording has tokens and kept none of their text."""
    if frame.playback is None:
        return False
    newest = islice(reversed(frame.session.requests.values()), _LOOKED_AT)
    texts = [request.text for request in newest if request.tokens]
    return bool(texts) and not any(texts)


_HINTS: tuple[tuple[Span, ...], ...] = (
    (("enter", "key"), (" open", "dim")),
    (("/", "key"), (" filter", "dim")),
    (("o", "key"), (" order", "dim")),
)


def empty(frame: Frame, width: int, height: int) -> list[Line]:
    """In place of rows: why there are none."""
    session = frame.session
    if frame.choices.query:
        why = "no request holds these words"
    elif session.refused is not None or session.ended is not None:
        why = "no request was made"
    elif session.model is None:
        first = "the server has answered" if on_servers(session) else "the model is loaded"
        why = f"requests begin when {first}"
    else:
        why = "no request yet"
    return centred([((why, "dim"),)], width, height)


def heading(width: int, text: str = "text") -> Line:
    """The names of the columns; `text` of the last."""
    shape = columns_of(width)
    names = f"{'id':>6}  {'state':<11}"
    names += right("prompt", shape.prompt) if shape.prompt else ""
    names += "  " + left("progress", shape.bar + (1 if shape.bar else 0) + 9)
    names += right("tok/s", shape.rate) + right("TTFT", shape.ttft)
    names += right("queue", shape.queue) if shape.queue else ""
    return ((names, "dim"), (f"  {clip(text, shape.text - 2)}" if shape.text >= 6 else "", "dim"))


def chosen(session: Session, choices: Choices) -> list[Request]:
    """The requests of the table in its order."""
    requests: Iterable[Request] = [*session.active.values(), *newest_first(session, KEPT)]
    if choices.query:
        wanted = choices.query.casefold()
        requests = [request for request in requests if matches(request, wanted)]
    if choices.order == "newest":
        return list(reversed(list(requests))) if choices.reverse else list(requests)
    return sorted(requests, key=_KEYS[choices.order], reverse=choices.reverse)


def matches(request: Request, wanted: str) -> bool:
    """Whether a request's id, state as shown, error or text holds the words (in lower case)."""
    told = f"{request.id} {state_name(request)} {request.error}".casefold()
    return wanted in told or wanted in request.text.casefold()


def _last(value: float | None) -> tuple[bool, float]:
    """Sorts what is not known behind what is."""
    return (value is None, value or 0.0)


_KEYS: dict[str, Callable[[Request], tuple[bool, float]]] = {
    "id": lambda r: (False, r.id),
    "state": lambda r: (False, _STATES.index(r.state)),
    "progress": lambda r: (False, done_share(r)),
    "tok/s": lambda r: _last(decode_rate(r)),
    "TTFT": lambda r: _last(ttft(r)),
    "queue": lambda r: _last(queue_time(r)),
}


def state_name(request: Request) -> str:
    """Its state in a word: warm-up is told as such, in every state."""
    if request.warmup:
        return "warm-up"
    return "short" if request.short else request.state


def sign_of(request: Request) -> Span:
    """The sign of its state, and its role."""
    return SHORT if request.short else SIGNS[request.state]


def guessed(request: Request, provisional: bool) -> bool:
    """Whether nobody has counted its tokens; `provisional`: until its end nobody does."""
    served = request.served
    if served is None or not request.tokens:
        return False
    return provisional if served.by is None else not served.counted or served.by == "estimate"


def row(
    request: Request,
    width: int,
    slo: Mapping[str, float] | None = None,
    provisional: bool = False,
) -> Line:
    """One request in `width` cells; what misses its target (seconds, by figure) is a warning.

    `provisional`: tokens of requests in flight are a guess.
    """
    shape = columns_of(width)
    sign, role = sign_of(request)
    spans: list[Span] = [
        (f"{request.id:>6}  ", "text" if request.active else "dim"),
        (f"{sign} ", role),
        (f"{state_name(request):<9}", "text" if request.active else "dim"),
    ]
    if shape.prompt:
        spans.append((right(whole(prompt_size(request)), shape.prompt), "dim"))
    rough = guessed(request, provisional)
    spans += _progress(request, shape.bar, rough)
    slo = slo or {}
    figure = "text" if request.active else "dim"
    if shape.rate:
        late = missed(request, tpot(request), slo.get("tpot"))
        told = f"{roughly(rate(decode_rate(request)), rough):>{shape.rate}}"
        spans.append((told, "warn" if late else figure))
    if shape.ttft:
        late = missed(request, ttft(request), slo.get("ttft"))
        spans.append((f"{span(ttft(request)):>{shape.ttft}}", "warn" if late else figure))
    if shape.queue:
        spans.append((f"{span(queue_time(request)):>{shape.queue}}", "dim"))
    if shape.text >= 6:
        spans += _text(request, shape.text)
    return tuple(spans)


def progress_text(request: Request) -> str:
    """Tokens generated of those asked for, as `57/200`."""
    if request.max_tokens is None and not counted(request):
        return UNKNOWN
    asked = UNKNOWN if request.max_tokens is None else str(request.max_tokens)
    return f"{request.tokens if counted(request) else UNKNOWN}/{asked}"


def done_share(request: Request) -> float:
    """How much of what was asked for is there, a share of 1; what has ended is done otherwise."""
    if request.max_tokens is None or not counted(request):
        return float(request.state == "done")
    return request.tokens / max(request.max_tokens, 1)


def missed(request: Request, value: float | None, target: float | None) -> bool:
    """Whether a figure (seconds) of a measured request is beyond its target."""
    return value is not None and target is not None and value > target and not request.warmup


def _progress(request: Request, width: int, rough: bool) -> list[Span]:
    """A bar and `57/200`."""
    done, rest = bar(done_share(request), width)
    role = {"failed": "bad", "done": "faint", "cancelled": "faint"}.get(request.state, "work")
    told = roughly(progress_text(request), rough)
    spans: list[Span] = [("   ", "text")]
    if width:
        spans += [(done, role), (rest, "line"), (" ", "text")]
    return [*spans, (right(told, 8), "text" if request.active else "dim")]


def _text(request: Request, width: int) -> list[Span]:
    """The newest text while it streams, its start once it is there, or what went wrong."""
    room = width - 2
    if request.state == "failed":
        return [("  ", "text"), (left(one_line(request.error), room), "bad")]
    if not request.text:
        return [(" " * width, "text")]
    if request.active:
        kept = one_line(request.text[-room:])
        return [("  ", "text"), (left(tail(kept, room).lstrip(), room), "text")]
    start = request.text[: 2 * room].lstrip()
    return [("  ", "text"), (left(one_line(start), room), "dim")]
