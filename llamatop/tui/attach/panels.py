"""What stands below the table: rates over time, slots or percentiles, and what binds in words."""

from __future__ import annotations

from llamatop.events.clock import SECOND
from llamatop.figures.binding import bound
from llamatop.figures.cost import per_million
from llamatop.figures.own_memory import own_parts
from llamatop.figures.rates import generation_rates
from llamatop.figures.serving import MINUTE, SECONDS, answers, combined, replica_load, together
from llamatop.reports.serving import quantile_text
from llamatop.session.reducer import Session
from llamatop.session.watched import Watched
from llamatop.settings.servers import host_of
from llamatop.text.formatting import UNKNOWN, clock, number, whole
from llamatop.tui.attach.state import STEPS, Looking, Row, edges_of, server_of, told, urls_of
from llamatop.tui.attach.table import memory_text
from llamatop.tui.drawing.charts import ceiling, highest
from llamatop.tui.drawing.lines import (
    Line,
    Span,
    fit,
    fitting,
    left,
    line_width,
    right,
    spread,
)
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.history import chart, labelled
from llamatop.tui.monitor.views.panel import Content, axis
from llamatop.tui.monitor.views.parts import bar_line, legend
from llamatop.tui.monitor.views.watched import binding_line, slots_content

_SHARES = ("p50", "p90", "p99")
_BESIDE, _CELLS = 13, 10
"""Cells of the names of latencies, and of a percentile; those that have no room are left out."""

_SHOWN = {"ttft_s": "TTFT", "itl_s": "ITL", "e2e_s": "E2E", "queue_s": "queue"}


def servers_at(session: Session, row: Row | None) -> list[Watched]:
    """The servers that a row is about."""
    if row is None or row.place is None:
        return [server for server in session.watched.values() if told(server)]
    return [server_of(session, row.place)]


def rates(session: Session, looking: Looking, row: Row | None, width: int, height: int) -> Content:
    """Generated tokens a second over time."""
    values = generation_rates(servers_at(session, row), edges_of(session, looking, width))
    top = ceiling(highest(values))
    lines = labelled(chart(values, "work", width, height, top), f"{number(top)} tok/s")
    newest = next((value for value in reversed(values) if value is not None), None)
    corner: list[list[Span]] = [[(f"{number(newest)} tok/s", "work.bold")]]
    if row is not None and (memory := memory_text(session, row)):
        corner.append([(memory, "memory"), (" resident", "dim")])
    ended = "end" if session.ended is not None else "now"
    return Content(lines, corner, axis(STEPS[looking.step] * width, width, ended))


def below(session: Session, row: Row | None, width: int, height: int) -> Content:
    """Slots where a server shows them; else its latencies."""
    server = server_of(session, row.place) if row is not None and row.place is not None else None
    if server is not None and server.slots:
        return slots_content(server, width, height)
    return _latencies(session, row, server, width, height)


def _latencies(
    session: Session, row: Row | None, server: Watched | None, width: int, height: int
) -> Content:
    """Percentiles of the last seconds and of the last minute."""
    servers = servers_at(session, row)
    if server is not None and row is not None and row.replica in server.replicas:
        replica = server.replicas[row.replica]
        loads = [replica_load(server, replica, window) for window in (SECONDS, MINUTE)]
    elif server is not None:
        loads = [load for window in (SECONDS, MINUTE) if (load := together(server, window))]
    else:
        loads = [load for window in (SECONDS, MINUTE) if (load := combined(servers, window))]
    if len(loads) < 2 or not loads[0].latencies:
        none = fit([(" this server tells no latencies", "dim")], width)
        return Content([none, *_own_memory(servers, width, height - 1)])
    shares = _SHARES[: max((width - _BESIDE) // _CELLS, 1)]
    lines = [fit([(left("", _BESIDE), "dim"), *((right(s, _CELLS), "dim") for s in shares)], width)]
    for name, title in _SHOWN.items():
        for load, span in zip(loads, ("5 s", "1 min"), strict=True):
            found = load.latencies.get(name)
            spans: list[Span] = [(left(f" {title}" if span == "5 s" else "", 7), "dim")]
            spans.append((left(span, 6), "faint"))
            for share in shares:
                text = quantile_text(found.get(share)) if found is not None else UNKNOWN
                spans.append((right(text, _CELLS), "dim" if text == UNKNOWN else "text"))
            lines.append(fit(spans, width))
    return Content([*lines[:height], *_own_memory(servers, width, height - len(lines))])


def _own_memory(servers: list[Watched], width: int, room: int) -> list[Line]:
    """The parts of their memory that servers tell themselves, where there is room for them."""
    parts = own_parts(servers)
    if not sum(parts.values()) or room < 1:
        return []
    lines = [fit(bar_line("memory", parts, width - 1), width)]
    return lines + ([fit(legend(parts, width - 1), width)] if room > 1 else [])


def header(frame: Frame, looking: Looking, row: Row | None, width: int, height: int) -> list[Line]:
    """Two lines: what is watched, and what binds the chosen server."""
    session = frame.session
    return [_what(frame, width), _words(session, row, width)][:height]


def _what(frame: Frame, width: int) -> Line:
    session = frame.session
    urls = urls_of(session)
    up = [server for server in session.watched.values() if answers(server)]
    load = combined([server for server in up if told(server)])
    start: list[Span] = [
        (" ", "text"),
        ("llamatop", "work.bold"),
        (" watching", "dim"),
        ("  ", "text"),
    ]
    role = "good" if len(up) == len(urls) else "bad"
    one = len(urls) == 1
    what = host_of(urls[0]) if one else f"{len(up)} of {len(urls)} servers answer"
    parts: list[list[Span]] = [[(what, role if not one else "text")]]
    if load is not None and load.generation_rate is not None:
        parts.append([(number(load.generation_rate), "work.bold"), (" tok/s", "dim")])
    if load is not None and load.running is not None:
        waiting = f", {whole(load.waiting)} waiting" if load.waiting is not None else ""
        parts.append([(f"{whole(load.running)} running{waiting}", "text")])
    parts += _cost(session, load.generation_rate if load is not None else None)
    end: list[Span] = [*_recorded(frame), (f"{clock(session.now / SECOND)} ", "dim")]
    room = width - line_width(start) - line_width(end) - 1
    return spread([*start, *fitting(parts, room)], end, width)


def _cost(session: Session, rate: float | None) -> list[list[Span]]:
    price = session.started.config.cost_per_hour if session.started is not None else None
    if price is None:
        return []
    return [[(number(per_million(price, rate)), "text"), (" per million tokens", "dim")]]


def _recorded(frame: Frame) -> list[Span]:
    keeping = frame.keeping
    if keeping is None:
        return []
    if keeping.error is not None:
        return [("recording stopped ", "bad")]
    return [("● ", "bad"), ("rec ", "dim")]


def _words(session: Session, row: Row | None, width: int) -> Line:
    """What binds the chosen server, and what would help; of all together, the worst."""
    one = row.place if row is not None else None
    places = sorted(session.watched) if one is None else [one]
    bounds = {place: bound(server_of(session, place), session.now) for place in places}
    return binding_line(session, bounds, width)
