"""One row in full: every value, where it comes from, how old it is; a missing one, and why."""

from __future__ import annotations

from llamatop.reports.origins import server_origins
from llamatop.session.reducer import Session
from llamatop.tui.attach.state import Looking, Row
from llamatop.tui.drawing.lines import fit
from llamatop.tui.monitor.views.origins import last_first, origins_content
from llamatop.tui.monitor.views.panel import Content


def detail(session: Session, looking: Looking, row: Row, width: int, height: int) -> Content:
    """The lines from `looking.scrolled` on."""
    if row.place is None:
        return Content([fit([("each server tells its own", "dim")], width)])
    origins = server_origins(session, row.place, row.replica)
    looking.scrolled = min(looking.scrolled, last_first(origins, width, height))
    return origins_content(origins, looking.scrolled, width, height)
