"""The timeline of one request: its phases and tokens, over the run's same seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from llamatop.events.clock import SECOND
from llamatop.events.kinds import Event
from llamatop.figures.requests import first_token
from llamatop.figures.served import on_servers, server_bytes, ttfa
from llamatop.session.known import BIN
from llamatop.session.reducer import Session
from llamatop.session.requests import Request
from llamatop.text.formatting import size
from llamatop.tui.drawing.charts import ceiling, columns, highest, shares
from llamatop.tui.drawing.lines import Line, Span, fit, laid_over
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.views.history import chart, labelled, shaded
from llamatop.tui.monitor.views.panel import Content
from llamatop.tui.monitor.views.state import home_of
from llamatop.tui.monitor.views.values import scale, span
from llamatop.tui.monitor.windows import tokens_between


@dataclass(frozen=True)
class Stretch:
    """The time of a request (ns) over so many cells."""

    start: int
    end: int
    cells: int

    def cell(self, time: int) -> int:
        """The cell in which a time lies."""
        share = (time - self.start) / max(self.end - self.start, 1)
        return min(max(int(share * self.cells), 0), self.cells - 1)

    def edge(self, cell: int) -> int:
        """When a cell begins."""
        return self.start + (self.end - self.start) * cell // max(self.cells, 1)


def timeline(frame: Frame, request: Request, width: int, height: int) -> Content:
    """Phases and tokens, over the run's throughput and memory in the same time."""
    session = frame.session
    end = session.now if request.ended is None else request.ended
    stretch = Stretch(request.scheduled, max(end, request.scheduled + BIN), width)
    if width < 8:
        return Content()
    lines = [_phases(request, stretch), *_tokens(request, stretch)]
    room = height - len(lines)
    if room >= 4:
        upper = (room + 1) // 2
        lines += _rates(session, stretch, upper)
        lines += _memory(session, stretch, room - upper)
    elif room >= 2:
        lines += _rates(session, stretch, room)
    seconds = (stretch.end - stretch.start) / SECOND
    foot = _foot(width, span(seconds))
    return Content(lines, corner=_legend(request), foot=foot)


def _foot(width: int, last: str) -> Line:
    rule = max(width - len(last) - 7, 0)
    return (
        ("─ ", "line"),
        ("0", "dim"),
        (" " + "─" * rule + " ", "line"),
        (last, "dim"),
        (" ─", "line"),
    )


def _legend(request: Request) -> list[list[Span]]:
    """The phases in the colours of the line below, then what is drawn under it."""
    phases: list[list[Span]] = [[("░ queued", "dim")], [("▒ prefill", "work.4")]]
    if not request.times:
        return phases
    thought = [[("┅ reasoning", "work.4")]] if _answer(request) is not None else []
    return [
        *phases,
        *thought,
        [("━ decode", "work")],
        [("▅ its tokens", "work")],
        [("▼ slowest gap", "key")],
    ]


def _phases(request: Request, stretch: Stretch) -> Line:
    """Queued, prefill and decode as one line."""
    begun = stretch.end if request.admitted is None else request.admitted
    known = first_token(request)
    first = stretch.end if known is None else known
    last = request.times[-1] if request.ended is not None and request.times else stretch.end
    queued, prefilled = _reach(stretch, begun), _reach(stretch, first)
    decoded = max(_reach(stretch, last), prefilled)
    begins = max(prefilled, queued)
    answer = _answer(request)
    until = begins if answer is None else _reach(stretch, answer)
    thought = min(max(until - begins, 0), decoded - begins)
    spans = [
        ("░" * queued, "dim"),
        ("▒" * max(prefilled - queued, 0), "work.4"),
        ("┅" * thought, "work.4"),
        ("━" * (decoded - begins - thought), "work"),
    ]
    return fit(spans, stretch.cells)


def _answer(request: Request) -> int | None:
    """When its first token came that is no reasoning, where there was some."""
    return request.served.reached["answer"] if request.served and ttfa(request) else None


def _reach(stretch: Stretch, time: int) -> int:
    """Cells from the start to a time, rounded."""
    share = (time - stretch.start) / max(stretch.end - stretch.start, 1)
    return min(max(round(share * stretch.cells), 0), stretch.cells)


def _tokens(request: Request, stretch: Stretch) -> list[Line]:
    """A mark for each token, or bars where many share a cell; above it the slowest gap."""
    if request.summed:
        return _untimed(request, stretch)
    counts = [0] * stretch.cells
    for time, count in zip(request.times, request.counts, strict=True):
        counts[stretch.cell(time)] += count
    if max(counts) <= 1:
        marks: Line = (("".join("│" if count else " " for count in counts), "work"),)
    else:
        marks = shaded(columns(shares(counts)), "work")[0]
    slow = slowest(request, 1)
    above: Line = ((" " * stretch.cells, "text"),)
    if slow:
        above = laid_over(above, [(stretch.cell(slow[0][2]), "▼", "key")])
    return [above, marks]


def _untimed(request: Request, stretch: Stretch) -> list[Line]:
    """Why there are no marks."""
    what = "its tokens' own times are not in the file that this was imported from"
    return [((" " * stretch.cells, "text"),), fit([(what, "dim")], stretch.cells)]


def slowest(request: Request, most: int) -> list[tuple[float, int, int]]:
    """The longest gaps: (seconds, number of the token that ended it, when in ns), longest first.

    As `requests.gaps` has them: before an emission of k tokens a gap is shared by all of them.
    """
    times, number, found = request.times, 0, []
    for i, count in enumerate(request.counts):
        number += count
        if i and count and not request.summed:
            found.append(((times[i] - times[i - 1]) / SECOND / count, number, times[i]))
    return sorted(found, key=lambda gap: -gap[0])[:most]


def _rates(session: Session, stretch: Stretch, height: int) -> list[Line]:
    """The whole run's throughput in the same time."""
    values = [_rate(session, stretch.edge(i), stretch.edge(i + 1)) for i in range(stretch.cells)]
    top = ceiling(highest(values))
    drawn = chart(values, "work", stretch.cells, height, top)
    return labelled(drawn, f"{scale(top)} tok/s, all requests")


def _rate(session: Session, start: int, end: int) -> float:
    """Tokens per second in the whole bins around a cell, half a second at least."""
    first = min(start, end - SECOND // 2) // BIN * BIN
    last = max(-(-end // BIN) * BIN, first + BIN)
    return tokens_between(session, first, last) * SECOND / (last - first)


def _memory(session: Session, stretch: Stretch, height: int) -> list[Line]:
    """The memory that the model takes in the same time."""
    ends = [stretch.edge(i + 1) for i in range(stretch.cells)]
    device = session.devices.get(home) if (home := home_of(session)) is not None else None
    if device is not None:
        name, values = f"gpu {home}", [_at(device, attrgetter("used_bytes"), end) for end in ends]
    elif on_servers(session) and server_bytes(session) is not None:
        name = "server"
        values = [_at(session.host, attrgetter("server_bytes"), end) for end in ends]
    elif on_servers(session):
        name, values = "machine", [_at(session.host, attrgetter("used_bytes"), end) for end in ends]
    else:
        name = "engine"
        values = [_at(session.host, attrgetter("engine_bytes"), end) for end in ends]
    top = ceiling(highest(values))
    drawn = chart(values, "memory", stretch.cells, height, top)
    return labelled(drawn, f"{size(top)}, {name}")


def _at(
    samples: Sequence[Event], value: Callable[[Event], float | None], time: int
) -> float | None:
    """The newest sample at a time."""
    place = bisect_right(samples, time, key=attrgetter("time")) - 1
    return value(samples[place]) if place >= 0 else None
