"""A session as one JSON object: the same from a run and from its recording."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llamatop.events.clock import SECOND
from llamatop.figures.levels import LevelFigures, level_figures
from llamatop.figures.served import on_servers
from llamatop.figures.stats import spread_json
from llamatop.figures.steady import Steady
from llamatop.figures.turns import TurnFigures
from llamatop.reports.between import between_json
from llamatop.reports.capacity import capacity
from llamatop.reports.frontier import memory_end
from llamatop.reports.outcome import engine_lost, failure, reason
from llamatop.reports.servers import served_json, servers_json
from llamatop.reports.serving import servers_json as watched_json
from llamatop.session.reducer import Session

SCHEMA = 1
"""Version of the JSON object."""


def summary(
    session: Session, recording: str | None, complete: bool = True, error: str | None = None
) -> dict[str, Any]:
    """The JSON object of a run (`schema` 1). What was not measured is None.

    `complete`: the recording, if there is one, holds all of the session. `error` says why the
    command failed where the session itself does not.
    """
    model, end = session.model, memory_end(session)
    price = session.started.config.cost_per_hour if session.started else None
    ours = None if on_servers(session) else model  # what is known of a model that is loaded here
    return {
        "schema": SCHEMA,
        "model": session.model_name if session.started else None,
        "weights": ours.weights if ours else None,
        "engine": model.engine if model else None,
        "device": ours.device if ours else None,
        "dtype": ours.dtype if ours else None,
        "quantization": (model.quantization or None) if model else None,
        "layout": (model.layout or None) if model else None,
        "offload": (model.offload or None) if model else None,
        "parameters": model.parameters if model else None,
        "recording": recording,
        "complete": session.ended is not None and complete and not engine_lost(session),
        "error": error or failure(session),
        **servers_json(session),
        **(_watched(session) if on_servers(session) else {}),
        "joined_s": session.joined / SECOND if session.joined else None,
        "imported": _imported(session),
        **_ranks(session),
        "levels": [level_summary(figures, price) for figures in all_figures(session)],
        "memory_end": None if end is None else asdict(end),
        "capacity": None if (found := capacity(session)) is None else asdict(found),
    }


def _ranks(session: Session) -> dict[str, Any]:
    """The processes that share the model, each with its newest size; nothing of one alone."""
    if not session.ranks:
        return {}
    names = ("rank", "device", "resident_bytes")
    ranks = [session.ranks[rank] for rank in sorted(session.ranks)]
    return {"ranks": [{name: getattr(rank, name) for name in names} for rank in ranks]}


def _watched(session: Session) -> dict[str, Any]:
    """What the servers of a run told of themselves, over the whole of it, and what they cost."""
    price = session.started.config.cost_per_hour if session.started else None
    told = watched_json(session, None) if session.watched else {"servers": []}
    return {**told, "cost_per_hour": price}


def _imported(session: Session) -> dict[str, Any] | None:
    """Where another tool's run comes from, and what that tool says of its levels."""
    imported = session.imported
    if imported is None:
        return None
    return {
        "tool": imported.title,
        "version": imported.version,
        "file": imported.file,
        "clock": imported.clock,
        "notes": list(imported.notes),
        "reported": [
            dict(session.reported[level].figures) if level in session.reported else {}
            for level in session.levels
        ],
    }


def all_figures(session: Session) -> list[LevelFigures]:
    """The figures of every level, in order."""
    return [level_figures(session, level) for level in session.levels.values()]


def level_summary(figures: LevelFigures, price: float | None = None) -> dict[str, Any]:
    """One level of the JSON object: seconds, bytes, tokens; `price`: of an hour of its servers."""
    return {
        "concurrency": figures.concurrency,
        "outcome": figures.outcome,
        "reason": reason(figures.outcome, figures.error),
        "requests": figures.requests,
        "completed": figures.completed,
        "failed": figures.failed,
        "prompt_tokens": figures.prompt_tokens,
        "output_tokens": figures.output_tokens,
        "duration_s": figures.duration,
        "output_tok_s": figures.output_rate,
        "steady_output_tok_s": figures.steady_rate,
        "steady_from_s": figures.steady.start if figures.steady else None,
        "steady_tok_s": _interval(figures.steady),
        "ended_by": figures.ended_by or None,
        "request_s": figures.request_rate,
        "turns": [_turn(turn) for turn in figures.turns],
        "cached_prompt_tokens": figures.cached_prompt_tokens,
        "asked_request_s": figures.asked_rate,
        "real_request_s": figures.real_rate,
        "goodput_s": figures.goodput,
        "goodput_judged": figures.judged,
        "most_at_once": figures.most_at_once,
        "ttft_s": spread_json(figures.ttft),
        "tpot_s": spread_json(figures.tpot),
        "itl_s": spread_json(figures.itl),
        "e2e_s": spread_json(figures.e2e),
        "peak_memory": {
            "host_bytes": figures.host_peak_bytes,
            "baseline_bytes": figures.baseline_bytes,
            "device_bytes": figures.device_peak_bytes,
        },
        "predicted_memory": {
            "host_bytes": figures.predicted_host_bytes,
            "device_bytes": figures.predicted_device_bytes,
        },
        "mbu": figures.mbu,
        "mfu": figures.mfu,
        "joules_per_token": figures.joules_per_token,
        "held_back_by": figures.held_back_by,
        "memory_ended_in": figures.memory_ended_in,
        "contention": {
            "others_cores": figures.contention.others_cores,
            "engine_cores": figures.contention.engine_cores,
        },
        **served_json(figures.served),
        **between_json(figures, price),
    }


def _turn(figures: TurnFigures) -> dict[str, Any]:
    """One turn of conversations, over those that completed."""
    return {
        "turn": figures.turn,
        "completed": figures.completed,
        "prompt_tokens": figures.prompt_tokens,
        "cached_prompt_tokens": figures.cached_prompt_tokens,
        "ttft_s": spread_json(figures.ttft),
        "tpot_s": spread_json(figures.tpot),
        "e2e_s": spread_json(figures.e2e),
    }


def _interval(steady: Steady | None) -> dict[str, float | None]:
    """Mean and 95 % confidence interval of the steady throughput."""
    if steady is None:
        return {"mean": None, "low": None, "high": None}
    low, high = steady.rate - steady.half_width, steady.rate + steady.half_width
    return {"mean": steady.rate, "low": low, "high": high}
