"""A session as one JSON object and as a table: the same from a run and from its recording."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llamatop.events.clock import SECOND
from llamatop.events.sanitize import one_line
from llamatop.figures.levels import LevelFigures, level_figures, never_reached
from llamatop.figures.roofline import ROOF_BEATEN, roof_beaten
from llamatop.figures.served import on_servers
from llamatop.figures.stats import Distribution, spread_json
from llamatop.figures.steady import Steady
from llamatop.figures.turns import TurnFigures
from llamatop.reports.answer import answer
from llamatop.reports.between import between_json, between_rows
from llamatop.reports.capacity import capacity, cliff
from llamatop.reports.frontier import memory_end, memory_end_line
from llamatop.reports.outcome import engine_lost, failure, outcome_line, reason
from llamatop.reports.servers import (
    NOT_HERE,
    ROUGH,
    served_json,
    served_rows,
    server_headline,
    server_lines,
    servers_json,
)
from llamatop.reports.serving import servers_json as watched_json
from llamatop.session.reducer import Session
from llamatop.text.formatting import (
    UNKNOWN,
    clock,
    duration,
    minus,
    number,
    percent,
    size,
    whole,
)

SCHEMA = 1
"""Version of the JSON object."""
_REASONS = 3
"""Of failed requests, that are named."""


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


def level_lines(
    figures: LevelFigures,
    until_ci: float | None = None,
    failures: Sequence[str] = (),
    price: float | None = None,
) -> list[str]:
    """One level for a person to read, a figure a line; `until_ci` is what it was to reach.

    `failures` are the lines that say why requests failed, `price` is that of an hour of servers.
    """
    memory = [_row("peak memory", _memory(figures)), *_predicted(figures), *_weights_kv(figures)]
    rough = ROUGH if figures.estimated else ""
    if figures.outcome == "oom" and not figures.completed:  # nothing else was measured
        return [_title(figures), *memory, _row("last words", figures.error)]
    return [
        _title(figures),
        _row("requests completed", _completed(figures)),
        *failures,
        *[_row(name, value) for name, value in served_rows(figures)],
        *_cached(figures),
        _row("average latency", duration(figures.e2e.mean if figures.e2e else None)),
        _row("total throughput", f"{rough}{number(figures.output_rate)} tok/s"),
        *_steady(figures, until_ci),
        *_arrived(figures),
        *([] if figures.judged is None else [_row("goodput", _goodput(figures))]),
        *([_row("careful", figures.contention.words)] if figures.contention.notable else []),
        *memory,
        *_utilised(figures),
        *_energy(figures),
        *[_row(name, value) for name, value in between_rows(figures, price)],
        f"  {'':<20} {'mean':>9} {'p50':>9} {'p90':>9} {'p99':>9}",
        _spread_row("TTFT", figures.ttft),
        *_ttfa(figures),
        _spread_row("TPOT", figures.tpot, rough),
        _spread_row("ITL", figures.itl, rough),
        _spread_row("E2E", figures.e2e),
        *[_spread_row(f"TTFT of turn {one.turn}, {_each(one)}", one.ttft) for one in figures.turns],
    ]


def _ttfa(figures: LevelFigures) -> list[str]:
    """Time to first answer, where there was reasoning before it."""
    told = figures.served.ttfa if figures.served is not None else None
    return [] if told is None else [_spread_row("TTFA (first answer)", told)]


def _steady(figures: LevelFigures, until_ci: float | None) -> list[str]:
    """The steady throughput where there is one, and why the level ended where that was open."""
    rows = []
    if figures.steady is not None:
        rough = ROUGH if figures.estimated else ""
        rows.append(_row("steady state", rough + steady_text(figures.steady)))
    elif until_ci is not None:
        rows.append(_row("steady state", "not found: too few requests, or still drifting"))
    if why := ended_text(figures.ended_by, until_ci):
        rows.append(_row("ended by", why))
    return rows


def steady_text(steady: Steady) -> str:
    """The steady throughput with its interval."""
    known = f"{number(steady.rate)} tok/s ± {steady.relative:.1%}"
    return f"{known} (95 %), from {duration(steady.start)} on"


def ended_text(ended_by: str, until_ci: float | None) -> str:
    """Why a level ended; empty where it simply had its requests."""
    if ended_by == "interval":
        return f"its interval, ± {until_ci or 0:.1%} or less"
    if ended_by == "time":
        return "--max-time" + (
            ", before its interval was as narrow" if until_ci is not None else ""
        )
    if ended_by == "requests" and until_ci is not None:
        return "--requests, before its interval was as narrow"
    return ""


def _cached(figures: LevelFigures) -> list[str]:
    """What an engine here had computed before; of servers it is told with their rows."""
    if figures.served is not None or figures.cached_prompt_tokens is None:
        return []
    return [_row("tokens", f"{whole(figures.cached_prompt_tokens)} of prompts from a cache")]


def _each(turn: TurnFigures) -> str:
    """How long its prompts are on average."""
    if turn.prompt_tokens is None:
        return UNKNOWN
    return f"{turn.prompt_tokens / turn.completed:,.0f} in"


def _arrived(figures: LevelFigures) -> list[str]:
    """The rate of an open loop beside what was asked for."""
    if figures.asked_rate is None:
        return []
    asked, real = number(figures.asked_rate), number(figures.real_rate)
    return [_row("arrivals", f"{asked} requests/s asked, {real} began")]


def _goodput(figures: LevelFigures) -> str:
    """Requests that kept every target, and of how many that could be said."""
    told = f"{number(figures.goodput)} requests/s"
    if figures.judged == figures.completed:
        return told
    return f"{told}; {figures.judged} of {figures.completed} could be judged by every target"


def _title(figures: LevelFigures) -> str:
    title = f"concurrency {figures.concurrency}"
    match figures.outcome:
        case "ok":
            return title
        case "oom":
            where = f" in {figures.memory_ended_in}" if figures.memory_ended_in else ""
            return f"{title}: out of memory{where}"
        case _:
            why = f" ({figures.error})" if figures.error else ""
            return f"{title}: {figures.outcome or 'cut off'}{why}"


def _completed(figures: LevelFigures) -> str:
    text = f"{figures.completed} of {figures.requests}"
    text += f", {figures.failed} failed" if figures.failed else ""
    text += f", {figures.cancelled} cancelled" if figures.cancelled else ""
    rough = ROUGH if figures.estimated else ""
    out = whole(figures.output_tokens)
    return f"{text}; {whole(figures.prompt_tokens)} tokens in, {rough}{out} out"


def _weights_kv(figures: LevelFigures) -> list[str]:
    """Of a foreign engine only these are foretold."""
    foretold = figures.served.weights_kv_bytes if figures.served is not None else None
    if foretold is None:
        return []
    return [_row("of it foretold", f"{size(foretold)} of weights and KV; the rest is its own")]


def _predicted(figures: LevelFigures) -> list[str]:
    """The prediction beside what was measured, where there is one."""
    pairs = (
        (figures.predicted_device_bytes, figures.device_peak_bytes),
        (figures.predicted_host_bytes, figures.host_peak_bytes),
    )
    if figures.outcome == "oom":  # what was measured is not all that was needed
        return [_row("predicted peak", size(said)) for said, _ in pairs if said]
    return [
        _row("predicted peak", minus(f"{size(said)}, {said / found - 1:+.1%} of what was measured"))
        for said, found in pairs
        if said and found
    ]


def _utilised(figures: LevelFigures) -> list[str]:
    if figures.mbu is None:
        return []
    held = f"; bound by {figures.held_back_by}" if figures.held_back_by else ""
    told = [_row("MBU, MFU", f"{percent(figures.mbu)}, {percent(figures.mfu)}{held}")]
    return [*told, _row("", ROOF_BEATEN)] if roof_beaten(figures.mbu, figures.mfu) else told


def _energy(figures: LevelFigures) -> list[str]:
    if figures.joules_per_token is None:
        return []
    return [_row("energy", f"{number(figures.joules_per_token)} J per token, of the accelerators")]


def _memory(figures: LevelFigures) -> str:
    if figures.served is not None:
        known = figures.host_peak_bytes
        if known is None:
            return NOT_HERE
        device = figures.device_peak_bytes
        gpu = f"{size(device)} device, " if device is not None else ""
        return f"{gpu}{size(known)} of the server's processes"
    host = f"{size(figures.host_peak_bytes)} engine process"
    if figures.device_peak_bytes is None:
        return host
    return f"{size(figures.device_peak_bytes)} device, {host}"


def _row(name: str, value: str) -> str:
    return f"  {name:<20} {value}"


def _spread_row(name: str, values: Distribution | None, rough: str = "") -> str:
    if values is None:
        return _row(name, UNKNOWN)
    cells = (values.mean, values.p50, values.p90, values.p99)
    return f"  {name:<20}" + "".join(f" {rough + duration(cell):>9}" for cell in cells)


def headline(session: Session) -> str:
    """What ran, in one line."""
    model, started = session.model, session.started
    if session.imported is not None and started is not None:
        made = f"{session.imported.title} {session.imported.version or ''}".rstrip()
        return f"{started.config.model}, imported from {made} ({session.imported.file})"
    if model is None or started is None:
        return "no model was loaded" + (f": {session.lost.reason}" if session.lost else "")
    if on_servers(session):
        return server_headline(session)
    parts = [
        started.config.model,
        f"{model.weights} weights",
        f"engine {model.engine}" + (f" ({model.engine_reason})" if model.engine_reason else ""),
        model.device_name or model.device,
        model.dtype,
        *([model.quantization] if model.quantization else []),
        *([f"{model.offload} offload"] if model.offload else []),
        *([f"tensor parallel over {model.tp}"] if model.tp > 1 else []),
    ]
    if model.layers is not None and model.whole_layers not in (None, model.layers):
        parts.insert(1, f"a slice: {model.layers} of {model.whole_layers} layers")
    return ", ".join(parts)


def table(session: Session, growing: bool = False) -> str:
    """All levels for a person to read; its first line says how the run ended, and why."""
    until_ci = session.started.config.until_ci if session.started else None
    price = session.started.config.cost_per_hour if session.started else None
    every = all_figures(session)
    blocks = [
        "\n".join(
            [
                *level_lines(
                    figures,
                    until_ci,
                    [*_reached(session, figures), *_failures(session, figures)],
                    price,
                ),
                *_reported(session, figures),
            ]
        )
        for figures in every
    ]
    end = memory_end(session)
    blocks += [] if end is None else [memory_end_line(end)]
    blocks += cliff(session)
    top = [
        outcome_line(session, growing),
        *textwrap.wrap(" ".join(answer(session, every)), 100),
        headline(session) + _joined(session),
        *_lengths(session),
        *server_lines(session),
    ]
    return "\n\n".join(["\n".join([*top, *_origin(session)]), *blocks])


def _origin(session: Session) -> list[str]:
    """What is to be known of another tool's run."""
    if session.imported is None:
        return []
    return [session.imported.clock, *(f"careful: {note}" for note in session.imported.notes)]


def _reached(session: Session, figures: LevelFigures) -> list[str]:
    """That a level never was what its concurrency says."""
    told = never_reached_text(session, figures)
    return [_row("never reached", told)] if told else []


def never_reached_text(session: Session, figures: LevelFigures) -> str:
    """That so many requests never were in flight at once; empty where they were."""
    if not never_reached(session, figures):
        return ""
    most = figures.most_at_once
    return f"{most} in flight at once at most, not {figures.concurrency}: give more --requests"


def _failures(session: Session, figures: LevelFigures) -> list[str]:
    """Why measured requests failed, the commonest reasons, each on a line."""
    if not figures.failed:
        return []
    errors = Counter(
        request.error
        for request in session.requests.values()
        if request.level == figures.level and request.state == "failed" and not request.warmup
    )
    lines = [
        f"{times:,} \N{MULTIPLICATION SIGN} {one_line(error or UNKNOWN)}"
        for error, times in errors.most_common(_REASONS)
    ]
    more = len(errors) - _REASONS
    lines += [f"and {more:,} other reasons"] if more > 0 else []
    return [_row("" if n else "failed", line) for n, line in enumerate(lines)]


def _reported(session: Session, figures: LevelFigures) -> list[str]:
    """What the tool that ran the level says of it."""
    told = session.reported.get(figures.level)
    if told is None or session.imported is None:
        return []
    cells = [
        f"{name} {duration(value) if '_s.' in name or name == 'duration_s' else number(value)}"
        for name, value in told.figures.items()
    ]
    wrapped = textwrap.wrap(", ".join(cells), 74, break_long_words=False)
    return [f"  {session.imported.title} itself says", *(f"    {line}" for line in wrapped)]


def _lengths(session: Session) -> list[str]:
    """What was asked for, where not all requests asked for the same."""
    if session.started is None or not session.started.config.varied:
        return []
    config = session.started.config
    shared = f"{config.prefixes} shared beginnings of {config.prefix_toks} tokens, then "
    asked = f"prompts {shared if config.prefix_toks else ''}{one_line(config.prompt_spelling)}"
    asked += f", outputs {config.gen_spelling}"
    foretold = config.loads_model
    return [asked + ("; memory is predicted as if all had the longest" if foretold else "")]


def _joined(session: Session) -> str:
    """Where the recording was started in the middle of the run."""
    if not session.joined:
        return ""
    return f"\nrecorded from {clock(session.joined / SECOND)} on: the figures count from then"
