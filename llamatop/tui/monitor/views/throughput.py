"""The throughput panel: now, peak and level average, over their history."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from llamatop.events.sanitize import one_line
from llamatop.figures.roofline import roof_beaten
from llamatop.figures.served import on_servers
from llamatop.session.reducer import Session
from llamatop.text.formatting import percent
from llamatop.tui.drawing.charts import bar, ceiling, highest
from llamatop.tui.drawing.lines import (
    Line,
    Span,
    centred,
    clip,
    fit,
    fitting,
    join,
    line_width,
    shortened,
)
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.history import (
    chart,
    labelled,
    level_marks,
    level_name,
    time_axis,
    window_of,
    with_marks,
)
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.state import loading_of, loss_of, who_is_lost
from llamatop.tui.monitor.views.values import NOTHING, rate, roughly, scale
from llamatop.tui.monitor.windows import pace_window, rate_samples

_UNIT = 52
"""Cells from which the chart's upper edge has its unit; the levels' names need them below."""


def throughput(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    session = frame.session
    if session.model is None and (why := _why_nothing(session)):
        return Content(_refused(why, width, height))
    if session.model is None:
        return Content(_loading(frame, width, height))
    window = window_of(frame, width)
    smooth = pace_window(session) if session.ended is None else window.step
    values = rate_samples(session, window.step, window.count, smooth)
    marks = tuple(level_marks(frame, window))
    lines: list[Line] = [_row(_figures(frame, width), width)]
    if _without_tokens(frame):
        lines.append(fit([(" the file holds no tokens", "dim")], width))
        return Content(lines)
    lines += _history(tuple(values), marks, width, max(height - 1, 0))
    return Content(lines, foot=time_axis(window, width, session.ended is not None))


def _without_tokens(frame: Frame) -> bool:
    """Whether another tool's file tells of requests that ended well, and of no token of any."""
    if frame.session.imported is None or frame.figures.tokens():
        return False
    return any(request.state == "done" for request in frame.session.requests.values())


@lru_cache(maxsize=4)
def _history(
    values: tuple[float | None, ...], marks: tuple[tuple[int, str], ...], width: int, height: int
) -> list[Line]:
    """The chart, made once for each step's samples, not for each frame."""
    most = highest(values)
    top = ceiling(most)
    drawn, label = chart(values, "work", width, height, top), scale(top) if most > 0 else ""
    label += " tok/s" if label and width >= _UNIT else ""
    return labelled(with_marks(drawn, marks, width, len(label) + bool(label)), label)


def _row(figures: Sequence[Sequence[Span]], width: int) -> Line:
    """As many of the figures as fit; closer together where now, peak and level would not."""
    if line_width(join(figures[:3], "   ")) < width:
        return tuple(fitting(figures, width - 1, "   "))
    return tuple(fitting(figures, width, "  "))


def _figures(frame: Frame, width: int) -> list[Sequence[Span]]:
    """The row of figures, most important first, each at its own place.

    Where there is little room, how an open loop keeps up comes before peak and level.
    """
    figures = frame.figures
    rough = figures.rough()
    now, peak, average = (
        roughly(rate(value), rough) for value in (figures.rate(), figures.peak(), figures.average())
    )
    cells = max(len(peak), 5)
    ended, which = frame.session.ended is not None, level_name(frame)
    shares = _shares(frame)
    known = 0 if _unknown(frame.session) else 2
    first = [(f" {average if ended else now:>{cells}}", "work.bold")]
    brief = width < _UNIT
    arrivals = _arrivals(frame)
    return [
        [*first, (" tok/s", "dim"), *([(f" {which}", "dim")] if which else [])],
        *([arrivals[1:]] if brief and arrivals else []),
        [("peak ", "dim"), (f"{peak:>{cells}}", "text")],
        [("level ", "dim"), (f"{average:>{cells}}", "text")] if not ended else [],
        _goodput(frame),
        arrivals if not brief else [],
        *shares[:known],
        [("tokens ", "dim"), (roughly(f"{figures.tokens():,}", rough).rjust(7), "text")],
        *shares[known:],
    ]


def _goodput(frame: Frame) -> list[Span]:
    """Requests per second that keep the targets, where there are any."""
    if not frame.figures.slo:
        return []
    told = rate(frame.figures.goodput())
    return [("goodput ", "dim"), (f"{told:>5}", "text"), (" req/s", "dim")]


def _arrivals(frame: Frame) -> list[Span]:
    """Requests per second of an open loop that began, beside what is asked for."""
    asked, real = frame.figures.arrivals()
    if asked is None:
        return []
    return [("arrivals ", "dim"), (rate(real), "text"), (f" of {rate(asked)} req/s", "dim")]


def _shares(frame: Frame) -> list[Sequence[Span]]:
    """How near the run comes to what the machine could do, once a model is served."""
    session = frame.session
    unseen = session.model is None or session.model.device == "none"
    if session.level is None or (unseen and not on_servers(session)):
        return []
    mbu, mfu, held = frame.figures.shares()
    why = _unknown(session)
    unknown = percent(None) if why else NOTHING
    groups: list[Sequence[Span]] = [
        [(f"{name} ", "dim"), (f"{unknown if share is None else percent(share):>5}", "text")]
        for name, share in (("MBU", mbu), ("MFU", mfu))
    ]
    if why:
        return [*groups, [(why, "dim")]]
    if roof_beaten(mbu, mfu):
        return [*groups, [("(the roofs are too low: llamatop roofline)", "dim")]]
    return [*groups, [("bound by ", "dim"), (held, "text")]] if held else groups


def _unknown(session: Session) -> str:
    """Why neither can become known; empty where they can, or where the run says no reason."""
    if session.model is not None and session.model.offload:
        return "(weights are offloaded)"
    if on_servers(session):
        return "(the server's hardware is not known)"
    if session.traced is None:
        return "(what a step reads is not known)"
    if session.machine is None:
        return "(the roofs are not measured: llamatop roofline)"
    return ""


def _loading(frame: Frame, width: int, height: int) -> list[Line]:
    """Before the model is there: how far its load is."""
    share, words = loading_of(frame.session)
    done, rest = bar(share, max(min(width - 8, 48), 0))
    lines: list[Line] = [((shortened(words, width), "dim"),)]
    if share is not None:
        lines = [((done, "work"), (rest, "faint")), (), *lines]
    return centred(lines, width, height)


def _why_nothing(session: Session) -> str:
    """Why no model will come; empty while one may."""
    if session.refused is not None:
        return session.refused
    if session.lost is not None:
        return f"{who_is_lost(session)} lost: {loss_of(session.lost)}"
    return "the run ended before the model was loaded" if session.ended is not None else ""


def _refused(error: str, width: int, height: int) -> list[Line]:
    """Why there is nothing to see, and the ways on."""
    wide = max(width - 4, 1)
    words = _wrapped(one_line(error), wide)[: max(height - 2, 1)]
    ways: Line = (("m", "key"), (" another model  ", "dim"), ("q", "key"), (" leaves", "dim"))
    return centred([*(((line, "bad"),) for line in words), (), ways], width, height)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words, those too long cut."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = clip(f"{lines[-1]} {word}".strip(), width)
    return lines
