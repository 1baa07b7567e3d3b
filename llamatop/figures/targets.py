"""Targets that requests shall keep: how many do, and which breaks first. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.requests import meets
from llamatop.session.reducer import Request

SHARE = 0.95
"""Of a level's requests that shall keep every target, where nobody says another."""


def kept_share(requests: Sequence[Request], slo: dict[str, float]) -> float | None:
    """The share of requests that ended, and of those which failed, that kept every target."""
    ended = [one for one in requests if one.state in ("done", "failed")]
    if not ended:
        return None
    return sum(one.state == "done" and meets(one, slo) for one in ended) / len(ended)


def first_broken(requests: Sequence[Request], slo: dict[str, float]) -> str | None:
    """The target that the most requests break; None: each keeps all of them."""
    broken = {
        name: sum(not meets(request, {name: target}) for request in requests)
        for name, target in slo.items()
    }
    worst = max(broken, key=broken.__getitem__, default=None)
    return worst if worst is not None and broken[worst] else None
