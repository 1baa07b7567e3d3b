"""A whole run as text: how it ended, its answer, what ran, and its levels."""

from __future__ import annotations

import textwrap
from collections import Counter

from llamatop.events.clock import SECOND
from llamatop.events.sanitize import one_line
from llamatop.figures.levels import LevelFigures, never_reached
from llamatop.figures.served import on_servers
from llamatop.reports.answer import answer
from llamatop.reports.capacity import cliff
from llamatop.reports.frontier import memory_end, memory_end_line
from llamatop.reports.level_text import level_lines, row
from llamatop.reports.outcome import outcome_line
from llamatop.reports.servers import server_headline, server_lines
from llamatop.reports.summary import all_figures
from llamatop.session.reducer import Session
from llamatop.text.formatting import UNKNOWN, clock, duration, number

_REASONS = 3
"""Of failed requests, that are named."""


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
        *([f"weights {model.layout}"] if model.layout else []),
        *([f"{model.offload} offload"] if model.offload else []),
        *([f"tensor parallel over {model.tp}"] if model.tp > 1 else []),
    ]
    if model.layers is not None and model.whole_layers not in (None, model.layers):
        parts.insert(1, f"a slice: {model.layers} of {model.whole_layers} layers")
    return ", ".join(parts)


def _origin(session: Session) -> list[str]:
    """What is to be known of another tool's run."""
    if session.imported is None:
        return []
    return [session.imported.clock, *(f"careful: {note}" for note in session.imported.notes)]


def _reached(session: Session, figures: LevelFigures) -> list[str]:
    """That a level never was what its concurrency says."""
    told = never_reached_text(session, figures)
    return [row("never reached", told)] if told else []


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
    return [row("" if n else "failed", line) for n, line in enumerate(lines)]


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
    asked += f", outputs {config.gen_spelling}{' where it says nothing' if config.prompts else ''}"
    foretold = config.loads_model
    return [asked + ("; memory is predicted as if all had the longest" if foretold else "")]


def _joined(session: Session) -> str:
    """Where the recording was started in the middle of the run."""
    if not session.joined:
        return ""
    return f"\nrecorded from {clock(session.joined / SECOND)} on: the figures count from then"
