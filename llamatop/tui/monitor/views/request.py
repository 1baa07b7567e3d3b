"""One request by itself: its figures, its timeline, its gaps, its text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from itertools import chain, islice

from llamatop.events.clock import SECOND
from llamatop.events.sanitize import one_line
from llamatop.figures.requests import decode_rate, e2e, gaps, prompt_size, queue_time, tpot, ttft
from llamatop.figures.served import is_provisional, ttfa
from llamatop.session.requests import Request
from llamatop.text.formatting import whole
from llamatop.tui.drawing.lines import Line, Span, clip, fit, fitting
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.latency import histogram_lines
from llamatop.tui.monitor.views.panel import Content, framed
from llamatop.tui.monitor.views.requests import (
    TEXTLESS,
    guessed,
    missed,
    progress_text,
    sign_of,
    state_name,
)
from llamatop.tui.monitor.views.served import served_facts
from llamatop.tui.monitor.views.timeline import slowest, timeline
from llamatop.tui.monitor.views.values import rate, roughly, span

_SLOWEST = 6

_SERVED = 42
"""Cells of what a server said; half of a page that is narrower than two of them."""

_BOTH = 64
"""Cells beside it from which gaps and text both find room."""


def request_page(frame: Frame, id: int, width: int, height: int) -> list[Line]:
    """The whole page in exactly `height` lines."""
    request = frame.session.requests.get(id)
    if request is None:
        why = "is not queued yet" if frame.playback is not None else "is no longer kept"
        return [fit(((f" request {id} {why}", "dim"),), width)][:height]
    served = request.served is not None
    upper = max(min(height * (9 if served else 11) // 20, 16), 8)
    lower = max(height - upper - 1, 0)
    lines = [_title(frame, request, width)]
    lines += framed(0, "Timeline", timeline(frame, request, width - 2, upper - 2), width, upper)
    blocks = _beside(frame, request, width, lower)
    return [*lines, *(tuple(chain(*row)) for row in zip(*blocks, strict=True))][:height]


def _beside(frame: Frame, request: Request, width: int, height: int) -> list[list[Line]]:
    """What stands under the timeline, side by side; gaps give way to what a server said."""
    served = request.served is not None
    first = min(_SERVED, max(width // 2, 0)) if served else 0
    cells = {"Server": first, "Gaps": max(width * 2 // 5, 0)}
    if served:
        rest = width - first
        cells["Gaps"] = rest * 2 // 5 if rest >= _BOTH else 0
    cells["Text"] = width - sum(cells.values())
    made: dict[str, Callable[[int, int], Content]] = {
        "Server": lambda w, h: served_facts(frame, request, w, h),
        "Gaps": lambda w, h: _gaps(request, w, h),
        "Text": lambda w, h: _words(frame, request, w, h),
    }
    return [
        framed(0, name, made[name](wide - 2, height - 2), wide, height)
        for name, wide in cells.items()
        if wide
    ]


def _title(frame: Frame, request: Request, width: int) -> Line:
    """Its figures in one line; what misses its target is a warning."""
    slo = frame.figures.slo
    sign, role = sign_of(request)
    rough = guessed(request, is_provisional(frame.session))
    told = roughly(progress_text(request), rough)
    groups: list[list[Span]] = [
        [(f" request {request.id}", "text.bold")],
        [(f"{sign} ", role), (state_name(request), "text")],
        [(told, "text.bold"), (f"  {whole(prompt_size(request))} in{_reused(request)}", "dim")],
        [("turn ", "dim"), (str(request.turn), "text")] if request.turn is not None else [],
        [(f"{roughly(rate(decode_rate(request)), rough):>7}", "work.bold"), (" tok/s", "dim")],
        *(
            [
                (f"{name} ", "dim"),
                (
                    f"{roughly(span(value), rough and name == 'TPOT'):>7}",
                    "warn" if missed(request, value, slo.get(target)) else "text",
                ),
            ]
            for name, target, value in (
                ("TTFT", "ttft", ttft(request)),
                *([("TTFA", "ttfa", ttfa(request))] if ttfa(request) is not None else []),
                ("TPOT", "tpot", tpot(request)),
                ("E2E", "e2e", e2e(request)),
                ("queue", "queue", queue_time(request)),
            )
        ),
    ]
    return fit(fitting(groups, width, "   "), width)


def _reused(request: Request) -> str:
    """What an engine here had computed of its prompt; a server's is told with the server."""
    if request.reused is None or request.served is not None:
        return ""
    return f", {request.reused:,} cached"


def _gaps(request: Request, width: int, height: int) -> Content:
    """How long tokens came after one another, and which took longest."""
    values = sorted(islice(gaps(request), 20_000))
    if not values:
        why = "not in the imported file" if request.summed else f"no two tokens{_yet(request)}"
        return Content([((f" {why}", "dim"),)])
    slow = slowest(request, min(_SLOWEST, max(height - 5, 1)))
    bars = max(height - len(slow) - 2, 0)
    lines = histogram_lines("", values, width, bars) if bars >= 3 else []
    if lines:
        lines.append(())
    lines.append(((" slowest", "dim"), ("    token        at", "dim")))
    lines += [
        (
            (f" {span(gap):>8}", "text"),
            (f"{number:>9,}", "text"),
            (f"{span((time - request.scheduled) / SECOND):>10}", "dim"),
        )
        for gap, number, time in slow
    ]
    return Content(lines[:height])


def _words(frame: Frame, request: Request, width: int, height: int) -> Content:
    """Why it failed; its text, the newest lines of it, or why there is none."""
    error = _wrapped(request.error, width)[: max(height, 0)] if request.error else []
    lines: list[Line] = [((f" {clip(line, width - 1)}", "bad"),) for line in error]
    lines += [()] if error else []
    room = height - len(lines)
    if room < 1:
        return Content(lines[: max(height, 0)])
    if not request.text:
        untold = frame.playback is not None and request.tokens
        known = TEXTLESS if untold else f"no text{_yet(request)}"
        return Content([*lines, ((f" {known}", "dim"),)])
    wrapped = [line for text in request.text.split("\n") for line in _wrapped(text, width) or [""]]
    lines += [((f" {clip(line, width - 1)}", "text"),) for line in wrapped[-room:]]
    return Content(lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(one_line(text), max(width - 2, 1))


def _yet(request: Request) -> str:
    """What has not come may still come, until the request has ended."""
    return "" if request.ended is not None else " yet"
