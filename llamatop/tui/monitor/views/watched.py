"""The server's view beside ours: what it tells, what binds it, where a first token's time went.

Its history stands under that of the throughput, cell below cell on the same seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from llamatop.events.kinds import SlotFacts
from llamatop.events.sanitize import one_line
from llamatop.figures.between import FirstToken
from llamatop.figures.binding import Bound
from llamatop.figures.cost import per_million
from llamatop.figures.serving import Load, State, answers, state_of
from llamatop.reports.between import NAMES, told_words
from llamatop.reports.origins import PARTED, Origin, first_token_origins
from llamatop.reports.serving import slot_json
from llamatop.session.reducer import Session
from llamatop.session.watched import Watched
from llamatop.settings.servers import host_of
from llamatop.text.formatting import UNKNOWN, duration, number, percent, whole
from llamatop.tui.drawing.charts import bar, ceiling, highest
from llamatop.tui.drawing.lines import (
    Line,
    Span,
    clip,
    clipped,
    fit,
    fitting,
    left,
    line_width,
    right,
)
from llamatop.tui.monitor.frame import Frame
from llamatop.tui.monitor.told_histories import History
from llamatop.tui.monitor.views.history import chart, labelled, time_axis, window_of
from llamatop.tui.monitor.views.origins import origins_content
from llamatop.tui.monitor.views.panel import Content, more_rows
from llamatop.tui.monitor.views.values import scale

STATE_ROLES: dict[State, str] = {
    "up": "good",
    "restarted": "warn",
    "starting": "warn",
    "stale": "warn",
    "no metrics": "warn",
    "down": "bad",
}

STATE_SIGNS: dict[State, str] = {
    "up": "●",
    "restarted": "↻",
    "starting": "◌",
    "stale": "◔",
    "no metrics": "○",
    "down": "✕",
}

_BOUND_ROLES = {"away": "bad", "kv": "warn", "slots": "warn", "queue": "warn", "prefill": "warn"}
_WORST = ("away", "kv", "slots", "queue", "prefill", "decode", "unknown", "idle")

_PART_ROLES = {"queue": "warn", "prefill": "memory", "rest": "dim"}
_SHORTEST = 1e-4
"""Seconds below which the client's own parts of a first token are not worth a word."""

_HOST = 24

_WORDY = 56
"""Cells from which words are whole."""

_ADVICE = "  → "
"""Before what would help; of that, as many ways as fit whole."""

_CHART = 3
"""Rows that a chart should have."""

_MOST_SLOTS = 16


def watched(frame: Frame, width: int, height: int) -> Content:
    """What stands inside the panel."""
    session, title = frame.session, "The server's view"
    servers = [session.watched[place] for place in sorted(session.watched)]
    if not servers:
        return Content([fit([(" not asked yet", "dim")], width)], title=title)
    if len(servers) > 1:
        title = "The servers' view"
    if frame.choices.origins is not None:
        named = title.replace("view", "values")
        return origins_content(origins_of(frame), frame.choices.origins, width, height, named)
    if session.ended is not None:
        lines = [_over(frame, width)]
    else:
        told = frame.figures.told_by()
        bounds = {place: binds for place, (_, binds) in sorted(told.items())}
        lines = [_now(frame, servers, width), binding_line(session, bounds, width)]
    first = frame.figures.first_token()
    lines += [first_token_line(first, width)] if first is not None else []
    room = max(height - len(lines) - _CHART, 0)
    if session.ended is None:
        lines += _each(frame, width, room) if len(servers) > 1 else _slots(servers[0], width, room)
    window = window_of(frame, width)
    corner = _corner(session, servers)
    lines += _charts(frame, width, height - len(lines))
    foot = time_axis(window, width, session.ended is not None) if height > len(lines[:3]) else ()
    return Content(lines[:height], corner, foot, title=title)


def origins_of(frame: Frame) -> list[Origin]:
    """Every value that each server tells, then where a first token's time went."""
    first = frame.figures.first_token()
    parts = first_token_origins(frame.session, first) if first is not None else []
    return [*frame.figures.origins(), *([PARTED, *parts] if parts else [])]


def binding_line(session: Session, bounds: Mapping[int, Bound], width: int) -> Line:
    """What binds the worst off of some servers, by place, and what would help."""
    if not bounds:
        return fit([(" waiting for the first answer", "dim")], width)
    place, told = min(bounds.items(), key=lambda one: _WORST.index(one[1].kind))
    spans: list[Span] = [(" ", "text")]
    urls = session.started.config.urls if session.started is not None else ()
    if len(urls) > 1:
        spans.append((f"{host_of(urls[place])}: ", "dim"))
    spans.append((one_line(told.words), _BOUND_ROLES.get(told.kind, "text")))
    room = width - line_width(spans) - line_width([(_ADVICE, "dim")])
    advice = fitting([[(one, "dim")] for one in told.help.split(", ")], room, ", ")
    return clipped([*spans, (_ADVICE, "dim"), *advice] if advice else spans, width)


def first_token_line(first: FirstToken, width: int) -> Line:
    """Where the mean time to the first token went, in order of time; the largest parts that fit."""
    start: list[Span] = [(" TTFT ", "dim"), (duration(first.ttft), "text.bold"), (" =", "faint")]
    parts = {
        name: _part(name, seconds)
        for name, seconds in first.parts().items()
        if seconds is not None and (seconds >= _SHORTEST or name in _PART_ROLES)
    }
    room, kept = width - 1 - line_width(start), set[str]()
    for name in sorted(parts, key=lambda one: -(first.parts()[one] or 0.0)):
        if line_width(parts[name]) <= room:
            kept.add(name)
            room -= line_width(parts[name])
    spans = [span for name, part in parts.items() if name in kept for span in part]
    others: list[Span] = [("  others' requests are in its times", "warn")] if first.shared else []
    return fit([*start, *spans, *(others if line_width(others) <= room else [])], width)


def _part(name: str, seconds: float) -> list[Span]:
    role = _PART_ROLES.get(name, "text")
    return [(f"  {NAMES[name]} ", "dim"), (duration(seconds), role)]


def _now(frame: Frame, servers: Sequence[Watched], width: int) -> Line:
    """What all servers tell now, most important first."""
    load = frame.figures.told()
    groups: list[Sequence[Span]] = []
    if len(servers) > 1:
        up = sum(answers(server) for server in servers)
        role = "good" if up == len(servers) else "bad"
        groups.append([(f" {up} of {len(servers)} answer", role)])
    else:
        state = state_of(servers[0], frame.session.now)
        word = "" if state == "up" else f" {state}"
        groups.append([(f" {STATE_SIGNS[state]}{word}", STATE_ROLES[state])])
    if load is None:
        return fit(groups[0], width)
    words = (" running", " waiting") if width >= _WORDY else (" run", " wait")
    groups += [
        [(f"{number(load.generation_rate):>5}", "work.bold"), (" tok/s", "dim")],
        [(whole(load.running), "text"), (words[0], "dim")],
        [(whole(load.waiting), "warn.bold" if load.waiting else "text"), (words[1], "dim")],
        _kv(load),
        [(f"{number(load.prompt_rate):>5}", "text"), (" prompt tok/s", "dim")],
        _cost(frame.session, load),
    ]
    return fit(fitting(groups, width - 1, "  "), width)


def _over(frame: Frame, width: int) -> Line:
    """What they told of the level whose figures are shown, once nothing runs any more."""
    level = frame.figures.level_told
    told = frame.figures.level(level).told if level is not None else None
    words = told_words(told) if told is not None else "nothing was told of this level"
    groups: list[Sequence[Span]] = [[(f" {part}", "text")] for part in words.split(", ")]
    return fit(fitting(groups, width - 1, ","), width)


def _kv(load: Load) -> list[Span]:
    share = load.kv_usage
    if share is None:
        return [("KV ", "dim"), (UNKNOWN, "dim")]
    role = "bad" if share > 0.95 else "warn" if share > 0.85 else "memory"
    return [("KV ", "dim"), (percent(share), role)]


def _cost(session: Session, load: Load) -> list[Span]:
    price = session.started.config.cost_per_hour if session.started is not None else None
    cost = per_million(price, load.generation_rate)
    return [] if cost is None else [(number(cost), "text"), (" per million", "dim")]


def _corner(session: Session, servers: Sequence[Watched]) -> list[Sequence[Span]]:
    """Limits that are broken now."""
    broken = [alert for server in servers for alert in server.alerts.values()]
    if not broken or session.ended is not None:
        return []
    more = f" +{len(broken) - 1}" if len(broken) > 1 else ""
    return [[(f"▲ {one_line(broken[0].rule)}{more}", "bad.bold")]]


def _each(frame: Frame, width: int, most: int) -> list[Line]:
    """A row a server, at most so many, those that do not answer first."""
    session, told = frame.session, frame.figures.told_by()
    places = sorted(session.watched, key=lambda p: (answers(session.watched[p]), p))
    shown = sorted(places[: most if len(places) <= most else max(most - 1, 0)])
    lines = [_server(session, place, told[place][0], width) for place in shown]
    left_out = len(places) - len(shown)
    return lines + ([fit([(f" … {left_out} more", "dim")], width)] if left_out and most else [])


def _server(session: Session, place: int, load: Load | None, width: int) -> Line:
    server = session.watched[place]
    state = state_of(server, session.now)
    urls = session.started.config.urls if session.started is not None else ()
    host = host_of(urls[place]) if place < len(urls) else str(place)
    start: list[Span] = [
        (f" {STATE_SIGNS[state]} ", STATE_ROLES[state]),
        (left(host, min(_HOST, max(map(len, map(host_of, urls)), default=0))), "text"),
    ]
    if load is None:
        said = server.stood.said if server.stood is not None else ""
        room = max(width - line_width(start) - 2, 0)
        return fit([*start, (f"  {clip(one_line(said or state), room)}", "dim")], width)
    groups: list[Sequence[Span]] = [
        [(f" {number(load.generation_rate):>6}", "work"), (" tok/s", "dim")],
        [(f"{whole(load.running):>3}", "text"), (" running", "dim")],
        [(f"{whole(load.waiting):>3}", "warn" if load.waiting else "text"), (" waiting", "dim")],
        _kv(load),
    ]
    return fit([*start, *fitting(groups, width - line_width(start) - 1)], width)


def _slots(server: Watched, width: int, room: int) -> list[Line]:
    """llama.cpp's slots, where there is room for all of them and a chart."""
    slots = [slot for _, slot in sorted(server.slots.items())]
    if not slots or len(slots) > min(room, _MOST_SLOTS):
        return []
    old = not answers(server)
    return [slot_line(slot, width, old) for slot in slots]


def slot_line(slot: SlotFacts, width: int, old: bool) -> Line:
    """One slot: how far its prompt or its answer is; `old`: it is no longer told."""
    told = slot_json(slot)
    state, done, of = told["state"], told["done"], told["of"]
    start: list[Span] = [(f" {slot.id!s:>3} ", "dim"), (left(str(state), 8), "text")]
    if state == "idle":
        return fit([(f" {slot.id!s:>3} ", "dim"), ("idle", "faint")], width)
    amount = f"{done}/{of if of is not None else '∞'}"
    cells = max(width - line_width(start) - 12, 4)
    share = done / of if isinstance(done, int) and isinstance(of, int) and of else None
    full, rest = bar(share, cells)
    role = "faint" if old else "memory" if state == "prefill" else "work"
    return fit([*start, (full, role), (rest, "faint"), (right(amount, 11), "text")], width)


def _charts(frame: Frame, width: int, height: int) -> list[Line]:
    """As many histories as there is room for: tokens, what waits, the KV cache."""
    if height < 1:
        return []
    window = window_of(frame, width)
    histories = frame.figures.told_histories(window.step, window.count)
    known = [one for one in histories if any(value is not None for value in one.values)]
    shown = known[: max(height // _CHART, 1)]
    lines: list[Line] = []
    for i, one in enumerate(shown):
        rows = height * (i + 1) // len(shown) - height * i // len(shown)
        lines += _area(one, width, rows)
    return lines


@lru_cache(maxsize=16)
def _area(one: History, width: int, height: int) -> list[Line]:
    """A history with its name and upper edge, made once for each step's samples."""
    top = one.top or ceiling(highest(one.values))
    edge = percent(top) if one.top else scale(top)
    return labelled(chart(one.values, one.role, width, height, top), f"{one.name} {edge}")


def slots_content(server: Watched, width: int, height: int) -> Content:
    """All slots of a server, as many as there is room for."""
    slots = [slot for _, slot in sorted(server.slots.items())]
    busy = sum(slot.busy for slot in slots)
    old = not answers(server)
    lines = [slot_line(slot, width, old) for slot in slots[:height]]
    corner: list[list[Span]] = [[(f"{busy} of {len(slots)} busy", "text")]]
    return Content(lines, corner, hints=more_rows(len(slots) - height))
