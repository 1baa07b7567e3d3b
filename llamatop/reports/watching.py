"""The JSON object of a watch's recording."""

from __future__ import annotations

from typing import Any

from llamatop.events.clock import SECOND
from llamatop.figures.cost import per_million
from llamatop.figures.serving import combined
from llamatop.reports.serving import servers_json
from llamatop.reports.summary import SCHEMA
from llamatop.session.reducer import Session


def watch_summary(session: Session, recording: str | None, whole: bool = True) -> dict[str, Any]:
    """The JSON object of a watch's recording, its figures over the whole of it."""
    started, all_ = session.started, combined(session.watched.values(), None)
    price = started.config.cost_per_hour if started is not None else None
    rate = all_.generation_rate if all_ is not None else None
    return {
        "schema": SCHEMA,
        "engine": "attach",
        "recording": recording,
        "complete": session.ended is not None and whole,
        "duration_s": session.now / SECOND,
        "cost_per_hour": price,
        "cost_per_million_tokens": per_million(price, rate),
        "levels": [],
        **servers_json(session, None),
    }
