"""The table: a row a server, a row a replica where there are several, and all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llamatop.figures.buckets import Quantile
from llamatop.figures.odd import odd_one
from llamatop.figures.serving import Load, state_of
from llamatop.reports.serving import quantile_text
from llamatop.session.reducer import Session
from llamatop.text.formatting import UNKNOWN, number, percent, size, whole
from llamatop.tui.attach.state import Looking, Row, rows_of, server_of, told
from llamatop.tui.drawing.charts import bar
from llamatop.tui.drawing.lines import Line, Span, clip, fit, left, right
from llamatop.tui.monitor.views.panel import Content, more_rows
from llamatop.tui.monitor.views.watched import STATE_ROLES, STATE_SIGNS

_BAR = 7
_TITLE = 22
_STATE = 12


class _Column(NamedTuple):
    """A column of the table, for screens of so many cells and wider."""

    head: str
    width: int
    cell: Callable[[Load], Sequence[Span]]
    from_width: int = 0


def _text(value: str, width: int) -> list[Span]:
    return [(right(value, width), "dim" if value == UNKNOWN else "text")]


def _kv(load: Load) -> list[Span]:
    share = load.kv_usage
    if share is None:
        return [(right(UNKNOWN, _BAR + 6), "dim")]
    role = "bad" if share > 0.95 else "warn" if share > 0.85 else "memory"
    done, rest = bar(share, _BAR)
    return [(done, role), (rest, "faint"), (right(percent(share), 6), "text")]


def _p(load: Load, name: str, share: str) -> str:
    found: Quantile | None = load.latencies.get(name, {}).get(share)
    return quantile_text(found)


def _waiting(load: Load) -> list[Span]:
    return [(right(whole(load.waiting), 5), "warn.bold" if load.waiting else "text")]


COLUMNS = (
    _Column("run", 5, lambda load: _text(whole(load.running), 5)),
    _Column("wait", 5, _waiting),
    _Column("KV cache", _BAR + 6, _kv),
    _Column("tok/s", 8, lambda load: [(right(number(load.generation_rate), 8), "work")]),
    _Column("prompt/s", 9, lambda load: _text(number(load.prompt_rate), 9), 92),
    _Column("TTFT p50", 10, lambda load: _text(_p(load, "ttft_s", "p50"), 10), 104),
    _Column("ITL p50", 9, lambda load: _text(_p(load, "itl_s", "p50"), 9), 115),
    _Column("p99", 9, lambda load: _text(_p(load, "itl_s", "p99"), 9), 126),
    _Column("E2E p50", 9, lambda load: _text(_p(load, "e2e_s", "p50"), 9), 137),
    _Column("queue p50", 10, lambda load: _text(_p(load, "queue_s", "p50"), 10), 149),
    _Column("hits", 6, lambda load: _text(percent(load.prefix_hit_rate), 6), 157),
    _Column("preempted", 10, lambda load: _text(whole(load.preempted), 10), 169),
)


def table(session: Session, looking: Looking, width: int, height: int) -> Content:
    """The rows that fit, the chosen one among them."""
    rows = rows_of(session)
    columns = [column for column in COLUMNS if width >= column.from_width]
    room = max(height - 1, 0)
    cursor = min(looking.row, max(len(rows) - 1, 0))
    first = min(max(cursor - room + 1, 0), max(len(rows) - room, 0))
    lines = [_head(columns)]
    odd = _odd(session)
    for place, row in enumerate(rows[first : first + room], first):
        state = _state(session, row, odd)
        lines.append(_line(session, row, columns, state, at_cursor=place == cursor, width=width))
    return Content(lines, hints=more_rows(len(rows) - room))


def _head(columns: Sequence[_Column]) -> Line:
    start: list[Span] = [(left("  server", _TITLE + 2) + left("", _STATE), "dim")]
    return (*start, *((right(" " + column.head, column.width + 1), "dim") for column in columns))


def _line(
    session: Session,
    row: Row,
    columns: Sequence[_Column],
    state: Sequence[Span],
    *,
    at_cursor: bool,
    width: int,
) -> Line:
    spans: list[Span] = [("▸ " if at_cursor else "  ", "key.bold")]
    indent = "  └ " if row.replica is not None else ""
    role = "text.bold" if at_cursor else "text"
    spans += [(left(indent + row.title, _TITLE), role), *state]
    if row.load is None:
        said = _said(session, row)
        return fit([*spans, (" " + clip(said, max(width - _TITLE - _STATE - 3, 0)), "dim")], width)
    for column in columns:
        spans += [(" ", "text"), *column.cell(row.load)]
    return fit(spans, width)


def _state(session: Session, row: Row, odd: tuple[tuple[int, str], str] | None) -> list[Span]:
    if row.place is None:
        return [(left("", _STATE), "text")]
    server = server_of(session, row.place)
    broken = [key for key in server.alerts if row.replica in (None, key[0])]
    if broken:
        return [(left("▲ " + broken[0][1].split(" for")[0], _STATE), "bad.bold")]
    single = row.replica is None and len(server.replicas) == 1
    name = row.replica if row.replica is not None else next(iter(server.replicas), "")
    if odd is not None and odd[0] == (row.place, name) and (single or row.replica is not None):
        return [(left("≠ differs", _STATE), "warn.bold")]
    if row.replica is not None:
        return [(left("", _STATE), "text")]
    state = state_of(server, session.now)
    return [(left(f"{STATE_SIGNS[state]} {state}", _STATE), STATE_ROLES[state])]


def _odd(session: Session) -> tuple[tuple[int, str], str] | None:
    loads = {
        (row.place, row.replica if row.replica is not None else next(iter(names), "")): row.load
        for row in rows_of(session)
        if row.place is not None and row.load is not None
        for names in [[name for name, _ in told(server_of(session, row.place))]]
        if row.replica is not None or len(names) == 1
    }
    return odd_one(loads)


def _said(session: Session, row: Row) -> str:
    if row.place is None:
        return "no server answers"
    server = server_of(session, row.place)
    said = server.stood.said if server.stood is not None else "not asked yet"
    return said or UNKNOWN


def memory_text(session: Session, row: Row) -> str:
    """What the processes of a row's server take here; empty where that is not known."""
    places = [row.place] if row.place is not None else list(session.watched)
    weighed = [server_of(session, place).weighed for place in places]
    known = [one.resident_bytes for one in weighed if one is not None and one.resident_bytes]
    return size(sum(known)) if known else ""
