"""What each turn of conversations measured: later ones have more history, and may have a cache."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from llamatop.figures.requests import e2e, prompt_size, tpot, ttft
from llamatop.figures.stats import Distribution, distribution
from llamatop.session.requests import Request


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """Of all completed requests that were the same turn of their conversation. Seconds, tokens."""

    turn: int
    """From 1."""
    completed: int
    prompt_tokens: int | None
    """Of all of them, history included; None: of some it is not known."""
    cached_prompt_tokens: int | None
    """Of these, those computed before; None: nobody told."""
    ttft: Distribution | None
    tpot: Distribution | None
    e2e: Distribution | None


def turn_figures(done: Sequence[Request]) -> tuple[TurnFigures, ...]:
    """Those of each turn, in order; none where requests belong to no conversation."""
    turns: dict[int, list[Request]] = defaultdict(list)
    for request in done:
        if request.turn is not None:
            turns[request.turn].append(request)
    return tuple(_turn(turn, turns[turn]) for turn in sorted(turns))


def _turn(turn: int, requests: list[Request]) -> TurnFigures:
    prompts = [prompt_size(request) for request in requests]
    known = [tokens for tokens in prompts if tokens is not None]
    cached = [request.reused for request in requests if request.reused is not None]
    spreads = [
        distribution(value for one in requests if (value := figure(one)) is not None)
        for figure in (ttft, tpot, e2e)
    ]
    return TurnFigures(
        turn,
        len(requests),
        sum(known) if len(known) == len(prompts) else None,
        sum(cached) if cached else None,
        *spreads,
    )
