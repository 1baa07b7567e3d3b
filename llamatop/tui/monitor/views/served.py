"""What a server and the client said of one request: where it went, its stages, its tokens."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Stage
from llamatop.events.sanitize import one_line
from llamatop.reports.servers import server_name
from llamatop.session.requests import Request, Served
from llamatop.settings.servers import host_of
from llamatop.text.formatting import whole
from llamatop.tui.drawing.lines import Line, Span, clip, fit
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.values import NOTHING, span

_STAGES: tuple[tuple[Stage, str], ...] = (
    ("connected", "connected"), ("status", "status"), ("event", "first event"),
    ("answer", "answer"), ("end", "end"),
)  # fmt: skip
"""In their order; the first token comes before the first answer."""

_BY = {
    "token_ids": "by their ids",
    "continuous": "as they came",
    "timings": "as they came",
    "usage": "by the server, at its end",
    "estimate": "by nobody: a guess",
}


def served_facts(frame: Frame, request: Request, width: int, height: int) -> Content:
    """What stands inside the panel: as many rows as it has; two stages a row where it is low."""
    served = request.served
    if served is None or width < 8:
        return Content()
    known = frame.session.servers.get(served.server)
    where = f"server {served.server}" if known is None else host_of(known.url)
    name = "" if known is None else server_name(known)
    counted = _counted(request, served)
    stages = _stages(request, served)
    if len(stages) + len(counted) > height - 1:
        stages = _two_each(stages, width)
    lines: list[Line] = [((f" {clip(one_line(where), width - 2)}", "text"), (f"  {name}", "dim"))]
    lines += [*(tuple(line) for line in stages), *counted]
    return Content(lines[: max(height, 0)])


def _stages(request: Request, served: Served) -> list[list[Span]]:
    """When each was reached, from when the request should have started."""
    first = request.times[0] if request.times else None
    times: list[tuple[str, int | None]] = [("sent", served.sent)]
    for stage, name in _STAGES:
        if stage == "answer":
            times.append(("first token", first))
        if stage != "answer" or stage in served.reached:
            times.append((name, served.reached.get(stage)))
    return [
        [(f" {name:<14}", "dim"), (f"{_after(request, time):>8}", "text")] for name, time in times
    ]


def _after(request: Request, time: int | None) -> str:
    return NOTHING if time is None else span((time - request.scheduled) / SECOND)


_SHORTEST = 12
"""Cells of a stage with its time, at least."""


def _two_each(stages: list[list[Span]], width: int) -> list[list[Span]]:
    """The same in half the rows, names cut."""
    half = max(width // 2, _SHORTEST)
    short = [[(f" {clip(name.strip(), half - 9):<{half - 9}}", role), (told, "text")]
             for (name, role), (told, _) in stages]  # fmt: skip
    rows = -(-len(short) // 2)
    return [
        [*fit(short[row], half), *(short[row + rows] if row + rows < len(short) else [])]
        for row in range(rows)
    ]


def _counted(request: Request, served: Served) -> list[Line]:
    """How its tokens were counted, and what else was said of them."""
    lines: list[Line] = []
    if served.by is not None:
        lines.append(((" counted       ", "dim"), (_BY[served.by], "text")))
    if served.reasoning:
        answer = max(request.tokens - served.reasoning, 0)
        told = f"{served.reasoning:,} reasoning, {answer:,} answer"
        lines.append(((" tokens        ", "dim"), (told, "text")))
    if served.cached is not None:
        lines.append(((" cached prompt ", "dim"), (f"{served.cached:,} tokens", "text")))
    if request.short:
        told = f"{request.tokens} of {whole(request.max_tokens)} tokens"
        lines.append(((" short         ", "dim"), (told, "warn")))
    if served.resent:
        lines.append(((" sent again    ", "dim"), ("its connection was lost", "warn")))
    return lines
