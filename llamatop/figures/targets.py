"""Targets that requests shall keep: how many do, and which breaks first. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from llamatop.figures.requests import kept, meets
from llamatop.session.requests import Request

SHARE = 0.95
"""Of a level's requests that shall keep every target, where nobody says another."""


def kept_share(requests: Sequence[Request], slo: dict[str, float]) -> float | None:
    """The share of requests that kept every target, of those that could be judged or failed."""
    good, of = kept_of(requests, slo)
    return good / of if of else None


def kept_of(requests: Sequence[Request], slo: dict[str, float]) -> tuple[int, int]:
    """How many requests kept every target, and how many could be judged or failed."""
    good, judged = kept((one for one in requests if one.state == "done"), slo)
    return good, judged + sum(one.state == "failed" for one in requests)


def first_broken(requests: Sequence[Request], slo: dict[str, float]) -> str | None:
    """The target that the most requests break; None: each keeps all of them."""
    broken = {
        name: sum(meets(request, {name: target}) is False for request in requests)
        for name, target in slo.items()
    }
    worst = max(broken, key=broken.__getitem__, default=None)
    return worst if worst is not None and broken[worst] else None
