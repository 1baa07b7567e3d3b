"""The servers of a run: what each is and has got, and what their processes hold here."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.events.clock import SECOND
from llamatop.events.kinds import ServerKnown
from llamatop.events.sanitize import one_line
from llamatop.figures.served import server_bytes, server_device_bytes
from llamatop.reports.servers import server_name
from llamatop.session.reducer import Session
from llamatop.session.requests import Load
from llamatop.settings.servers import host_of
from llamatop.text.formatting import UNKNOWN, clock, size
from llamatop.tui.drawing.lines import Span, clip, left, line_width

_HOST = 24
"""Cells of a host's name, where several stand below one another."""

Groups = list[Sequence[Span]]


def server_title(session: Session) -> str:
    """What the panel is called."""
    urls = session.started.config.urls if session.started else ()
    return "Server" if len(urls) < 2 else "Servers"


def server_rows(session: Session, width: int, most: int) -> list[Groups]:
    """A row for each server, at most so many, those that are lost first; then their memory."""
    known = [one for _, one in sorted(session.servers.items())]
    if len(known) > most:
        known.sort(key=lambda one: one.server not in session.away)
        shown, rest = known[: most - 1], known[most - 1 :]
    else:
        shown, rest = known, []
    host = max((min(len(host_of(one.url)), _HOST) for one in shown), default=0)
    rows = [_row(session, one, host if len(known) > 1 else 0, width) for one in shown]
    return [*rows, *([_others(session, rest)] if rest else []), _memory(session)]


def _row(session: Session, one: ServerKnown, host: int, width: int) -> Groups:
    """One server: whether it answers, what it is, how many requests it has and had."""
    lost = session.away.get(one.server)
    sign: Span = (" ● ", "good") if lost is None else (" ✗ ", "bad")
    name = [(left(one_line(host_of(one.url)), host), "text")] if host else []
    kind: Span = (clip(server_name(one), 28), "dim" if host else "text")
    if lost is not None:
        since = clock((session.now - lost.time) / SECOND)
        told: list[Span] = [sign, *(name or [kind]), ("  lost ", "bad"), (since, "text")]
        return [told, [(clip(one_line(lost.said), max(width - line_width(told) - 5, 0)), "dim")]]
    load = session.loads.get(one.server, Load())
    flying, *others = _counts(load)
    if host:
        return [[sign, *name, *flying], *others, [kind]]
    return [[sign, kind, *flying], *others, *_facts(one)]


def _counts(load: Load) -> Groups:
    failed: Groups = [[(f"{load.failed:,}", "bad"), (" failed", "dim")]] if load.failed else []
    return [
        [(f" {load.flying:>3}", "text"), (" in flight", "dim")],
        [(f"{load.done:>4,}", "text"), (" done", "dim")],
        *failed,
    ]


def _facts(one: ServerKnown) -> Groups:
    """Of a single server, for which there is room: its context, how it counts."""
    context: Groups = [[("context ", "dim"), (f"{one.context:,}", "text")]] if one.context else []
    return [*context, [("tokens by ", "dim"), (one.tokens_by.replace("_", " "), "text")]]


def _others(session: Session, rest: Sequence[ServerKnown]) -> Groups:
    """Those for which there is no row, together."""
    loads = [session.loads.get(one.server, Load()) for one in rest]
    total = Load(*(sum(getattr(x, name) for x in loads) for name in ("flying", "done", "failed")))
    flying, *others = _counts(total)
    return [[(f" … {len(rest)} more", "dim"), *flying], *others]


def _memory(session: Session) -> Groups:
    """What is known of the memory that the model takes: nothing, unless a server's was seen."""
    known = server_bytes(session)
    if known is None:  # as another tool told it
        peaks = (level.host_peak_bytes for level in reversed(session.levels.values()))
        known = next((peak for peak in peaks if peak is not None), None)
    start: Span = (" memory    ", "dim")
    if known is not None:
        device = server_device_bytes(session)
        gpu = [[("gpu ", "dim"), (size(device), "memory.bold")]] if device is not None else []
        return [[start, (f"{size(known):>8}", "memory.bold")], *gpu, [("of the server", "dim")]]
    return [[start, (f"{UNKNOWN:>8}", "text")], [("the server's own", "dim")]]
